# The formula for Homebrew. A release has it filled in (packaging/homebrew/fill.sh): its archives by their addresses and
# checksums. `brew install ./refguard.rb`, or put it into a tap.
class Refguard < Formula
  desc "Guardrail policies of an LLM gateway, kept in git"
  homepage "@REPOSITORY@"
  version "@VERSION@"
  license "Apache-2.0"

  depends_on "git"

  on_macos do
    on_arm do
      url "@REPOSITORY@/releases/download/v@VERSION@/refguard-@VERSION@-aarch64-apple-darwin.tar.gz"
      sha256 "@SHA256 aarch64-apple-darwin@"
    end
    on_intel do
      url "@REPOSITORY@/releases/download/v@VERSION@/refguard-@VERSION@-x86_64-apple-darwin.tar.gz"
      sha256 "@SHA256 x86_64-apple-darwin@"
    end
  end

  on_linux do
    on_arm do
      url "@REPOSITORY@/releases/download/v@VERSION@/refguard-@VERSION@-aarch64-unknown-linux-gnu.tar.gz"
      sha256 "@SHA256 aarch64-unknown-linux-gnu@"
    end
    on_intel do
      url "@REPOSITORY@/releases/download/v@VERSION@/refguard-@VERSION@-x86_64-unknown-linux-gnu.tar.gz"
      sha256 "@SHA256 x86_64-unknown-linux-gnu@"
    end
  end

  def install
    bin.install "refguard"
    generate_completions_from_executable(bin/"refguard", "completions", shells: [:bash, :zsh, :fish])
    (man1/"refguard.1").write Utils.safe_popen_read(bin/"refguard", "man")
  end

  test do
    assert_match version.to_s, shell_output("#{bin}/refguard --version")
    system bin/"refguard", "init", "policies"
    system bin/"refguard", "-C", "policies", "validate", "--deny-warnings"
  end
end
