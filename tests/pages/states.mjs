// The states of a daemon that pages have to show, each made with the program itself.
import { execFileSync } from "node:child_process";
import { Daemon, Repository, policy } from "./support.mjs";

const report = (daemon, id, body) => fetch(`${daemon.address}/v1/clients/${id}`, {
  method: "PUT", headers: { "content-type": "application/json" }, body: JSON.stringify(body),
});

const busyExample = async () => {
  const repository = Repository.example();
  const health = repository.read("policies/healthcare.yaml");
  repository.write("policies/healthcare.yaml", health.replace("phi_redactor]", "phi_redactor, prompt_injection_check]"));
  repository.commit("healthcare also checks for prompt injection");
  repository.promote("asked for by the audit of November");
  const support = policy("support-desk", "pii_masker", "description: Masks personal data of callers\nowner: support-leads\ninherit: baseline\n")
    .replace('scope: "*"', "teams: [support]\npriority: 5");
  repository.write("policies/support.yaml", support);
  repository.commit("the support desk masks personal data");
  return repository;
};

const guardrails = ["audit_log", "hipaa_audit", "phi_redactor", "pii_masker"]
  .map((name) => ({ name, modes: ["pre_call", "post_call"] }));

export const states = {
  async example() {
    const repository = await busyExample();
    const daemon = await Daemon.start(repository);
    await daemon.until((set) => set?.commit);
    const { commit } = (await daemon.status()).sets[0];
    const older = repository.git("rev-parse", "production~1");
    await report(daemon, "litellm-eu-1", { commit, state: "current", guardrails });
    await report(daemon, "litellm-eu-2", { commit, state: "current", guardrails });
    await report(daemon, "litellm-us-1", { commit: older, state: "rejected", reason: "this proxy has no guardrail `prompt_injection_check`", guardrails: guardrails.slice(0, 3) });
    return { repository, daemon };
  },

  async rejected() {
    const repository = await busyExample();
    const daemon = await Daemon.start(repository);
    await daemon.until((set) => set?.commit);
    const health = repository.read("policies/healthcare.yaml");
    repository.write("policies/healthcare.yaml", health.replace("hipaa_audit", "hipaa_adit"));
    repository.commit("a slip");
    repository.git("update-ref", "refs/heads/production", "HEAD");
    await daemon.until((set) => set?.rejected);
    return { repository, daemon };
  },

  async hold() {
    const repository = await busyExample();
    repository.refguard("hold", "incident 4711: wait for the post-mortem");
    const daemon = await Daemon.start(repository);
    await daemon.until((set) => set?.hold);
    return { repository, daemon };
  },

  async gone() {
    const repository = await busyExample();
    const daemon = await Daemon.start(repository);
    await daemon.until((set) => set?.commit);
    repository.git("update-ref", "-d", "refs/heads/production");
    await daemon.until((set) => set?.commit && !set.ref_commit);
    return { repository, daemon };
  },

  async empty() {
    const repository = Repository.empty();
    const daemon = await Daemon.start(repository);
    await daemon.until((set, status) => status.sets?.length > 0);
    return { repository, daemon };
  },

  async environments() {
    const repository = await busyExample();
    const settings = repository.read("refguard.yaml");
    repository.write("refguard.yaml", settings.replace("environments:\n", "environments:\n  - name: staging\n  - name: canary\n"));
    repository.commit("two more environments");
    repository.promote("staging and canary");
    repository.refguard("promote", "HEAD", "--env", "staging", "--reason", "first try of staging");
    const daemon = await Daemon.start(repository, "--worktree");
    await daemon.until((set) => set?.commit, "staging");
    return { repository, daemon };
  },

  // For pictures: no test has the time for it.
  async large() {
    const repository = Repository.empty();
    const code = "import sys, model; model.write_refguard(model.make(10_000, 10_000, 1_000, 1), sys.argv[1])";
    const peers = new URL("../../benches/peers", import.meta.url).pathname;
    execFileSync("python3", ["-c", code, repository.folder], { cwd: peers });
    repository.commit("ten thousand policies");
    repository.promote("all of them");
    const daemon = await Daemon.start(repository);
    await daemon.until((set) => set?.commit);
    return { repository, daemon };
  },

  async shadow() {
    const repository = await busyExample();
    const health = repository.read("policies/healthcare.yaml");
    repository.write("policies/healthcare.yaml", health.replace(/hipaa_audit, |, hipaa_audit/, ""));
    repository.commit("healthcare is not audited any more");
    const daemon = await Daemon.start(repository, "--shadow", "main", "--shadow-samples", "20");
    await daemon.until((set) => set?.commit);
    const ask = (context) => fetch(`${daemon.address}/v1/resolve`, {
      method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ context }),
    });
    const counted = async () => (await (await fetch(`${daemon.address}/v1/shadow`)).json());
    while (!(await counted()).head) await new Promise((done) => setTimeout(done, 50));
    const { witness } = (await counted()).regions.find((region) => !region.described.requested).described;
    const contexts = [witness, { ...witness, user: "<b>user</b>" }, { team: "support" }];
    for (const context of contexts) await ask(context);
    while ((await counted()).requests < contexts.length) await new Promise((done) => setTimeout(done, 50));
    return { repository, daemon };
  },

  async teams() {
    const repository = Repository.example();
    const catalog = repository.read("catalog.yaml");
    const regions = ["eu", "us", "apac", "latam", "mena"];
    const names = Array.from({ length: 60 }, (_, n) => `unit-${String(n + 1).padStart(2, "0")}`);
    const teams = names.flatMap((name) => regions.map((region) => `${name}-${region}`));
    repository.write("catalog.yaml", catalog.replace(/teams: \[(.*)\]/, (_, known) => `teams: [${known}, ${teams.join(", ")}]`));
    for (let n = 0; n < 60; n += 6) {
      const guardrail = ["pii_masker", "pci_scanner", "hipaa_audit", "audit_log"][(n / 6) % 4];
      repository.write(`policies/${names[n]}.yaml`, policy(names[n], guardrail, "inherit: baseline\n").replace('scope: "*"', `teams: ["${names[n]}-*"]`));
    }
    repository.commit("three hundred teams");
    repository.promote("the reorganisation");
    const daemon = await Daemon.start(repository);
    await daemon.until((set) => set?.commit);
    return { repository, daemon };
  },
};
