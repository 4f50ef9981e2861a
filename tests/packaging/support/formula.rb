# Stands for Homebrew: reads a formula as a machine of one kind does, and installs what it names.
#
#   ruby formula.rb FORMULA OS CPU                  prints the address and the checksum
#   ruby formula.rb FORMULA OS CPU ARCHIVE PREFIX   installs that archive, and runs the formula's test
require "fileutils"
require "open3"
require "pathname"
require "tmpdir"

SYSTEM, CPU = ARGV[1, 2]
PREFIX = Pathname.new(ARGV[4] || "/nowhere")

class Pathname
  alias write_plain write
  def install(name)
    mkpath
    FileUtils.install(name, self, mode: 0o755)
  end

  def write(text)
    dirname.mkpath
    write_plain(text)
  end
end

module Utils
  def self.safe_popen_read(*words)
    said, ended = Open3.capture2(*words.map(&:to_s))
    raise words.inspect unless ended.success?
    said
  end
end

class Formula
  class << self
    attr_reader :told, :needs, :check

    def desc(_text) = nil
    def homepage(_text) = nil
    def license(_text) = nil
    def depends_on(name) = (@needs ||= []) << name
    def version(text = nil) = text ? @version = text : @version
    def url(text) = (@told ||= {})[:url] = text
    def sha256(text) = (@told ||= {})[:sha256] = text
    def on_macos = (yield if SYSTEM == "macos")
    def on_linux = (yield if SYSTEM == "linux")
    def on_arm = (yield if CPU == "arm")
    def on_intel = (yield if CPU == "intel")
    def test(&block) = @check = block
  end

  def bin = PREFIX/"bin"
  def man1 = PREFIX/"share/man/man1"
  def version = self.class.version

  def generate_completions_from_executable(program, word, shells:)
    shells.each { |shell| (PREFIX/"completions/#{shell}").write Utils.safe_popen_read(program, word, shell) }
  end

  def shell_output(command) = Utils.safe_popen_read("sh", "-c", command)
  def assert_match(part, text) = text.include?(part) || raise("#{text} has no #{part}")
  def system(*words) = Kernel.system(*words.map(&:to_s)) || raise(words.inspect)
end

load File.expand_path(ARGV[0])
if ARGV[3]
  archive = File.expand_path(ARGV[3])
  Dir.mktmpdir do |folder|
    Dir.chdir(folder)
    system("tar", "-xzf", archive) || raise(archive)
    formula = Refguard.new
    formula.install
    formula.instance_eval(&Refguard.check)
  end
else
  puts Refguard.told.values_at(:url, :sha256)
end
