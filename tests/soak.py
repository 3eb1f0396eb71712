"""The long suites, whole: `make soak`. Writes what was tried and found to SOAK.md, which is committed.

It runs the property tests with many more examples, and rollouts in the lab over random fleets with random faults.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from orchestrator.clock import SystemClock
from orchestrator.lab.faults import ApiFaults, Rate
from orchestrator.lab.lab import Lab, LabThread
from orchestrator.lab.scenario import AfterRestart, Disk, InstanceSpec, Scenario, Ssm

ROOT = Path(__file__).parent.parent
BY_HAND = "\n## Controllers stopped and killed\n"
"""What `make crash` found is written down behind it, by hand: that takes hours."""

TROUBLES: tuple[Callable[[InstanceSpec], InstanceSpec], ...] = (
    *[lambda spec: spec] * 4,
    lambda spec: replace(spec, persistent=False),
    lambda spec: replace(spec, ssm=Ssm.CONNECTION_LOST),
    lambda spec: replace(spec, after_restart=AfterRestart.STAYS_DOWN),
    lambda spec: replace(spec, after_restart=AfterRestart.NOT_REPLACED),
    lambda spec: replace(spec, disk=Disk.FULL),
    lambda spec: replace(spec, docker_down=True),
    lambda spec: replace(spec, slow_registration=2.0),
    lambda spec: replace(spec, role=False),
)
HOLDING = {"updated", "current"}
NEW = b'"password":"new-password"'


def random_scenario(seed: int) -> Scenario:
    """Make a fleet and an API with random trouble; the same seed gives the same."""
    chance = random.Random(seed)
    specs = []
    for number in range(chance.randint(2, 8)):
        plain = InstanceSpec(instance_id=f"i-{number:017x}", zone=f"us-east-1{chance.choice('abc')}")
        specs.append(chance.choice(TROUBLES)(plain))
    api = ApiFaults(
        seed=seed,
        throttle={"SendCommand": Rate(rate=3, burst=2)} if chance.random() < 0.5 else {},
        list_lag=(0.0, chance.random()),
        result_delay=(0.0, chance.random()),
        cut_connections=chance.choice([0.0, 0.0, 0.3]),
    )
    return Scenario(seed=seed, instances=tuple(specs), api=api)


def roll(seed: int) -> str:
    """Roll one random fleet; return how it ended, or what is wrong."""
    scenario = random_scenario(seed)
    with tempfile.TemporaryDirectory() as folder, LabThread(Lab(scenario, Path(folder) / "i")) as lab:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        environment |= lab.exports() | {"XDG_STATE_HOME": f"{folder}/state", "AWS_CONFIG_FILE": os.devnull}
        tool = [sys.executable, "-m", "orchestrator.cli.main"]
        login = json.dumps({lab.registry_name: {"username": "puller", "password": "new-password"}})
        create = f"import boto3; boto3.client('secretsmanager').create_secret(Name='r', SecretString='{login}')"
        subprocess.run([sys.executable, "-c", create], env=environment, check=True)
        subprocess.run([*tool, "documents", "publish"], env=environment, check=True, capture_output=True)
        quick = "--poll-seconds=0.3 --verify-seconds=8 --restore-seconds=12 --watchdog-seconds=40 --step-seconds=60"
        budgets = "--delivery-seconds=30 --max-unavailable=50% --max-failures=100% --max-unreachable=100%"
        budgets += " --allow-removal --yes"
        arguments = ["run", "--cluster", scenario.cluster, "--credential", "secretsmanager:r", "--output", "json"]
        done = subprocess.run(
            [*tool, *arguments, *quick.split(), *budgets.split()], env=environment, capture_output=True, text=True,
            check=False, timeout=600,
        )  # fmt: skip
        if "Traceback" in done.stderr or done.returncode not in {0, 1}:
            return f"DEFECT: exit {done.returncode}: {done.stderr[-300:]}"
        return judge(lab, json.loads(done.stdout))


def judge(lab: Lab, report: dict[str, list[dict[str, str]]]) -> str:
    """Check the promises: everybody reported, nobody half-changed, `updated` only where it is true."""
    rows = {each["instance_id"]: each for each in report["instances"]}
    if set(rows) != set(lab.hosts):
        return "DEFECT: somebody is missing from the report"
    for name, host in lab.hosts.items():
        config = host.root / "etc/ecs/ecs.config"
        holds_new = NEW in config.read_bytes()
        if (rows[name]["outcome"] in HOLDING) != holds_new:
            return f"DEFECT: {name} is called {rows[name]['outcome']} and holds_new={holds_new}"
        if (host.root / "var/lib/ecs-rollout/armed").exists():
            return f"DEFECT: {name} was left armed"
    if lab.slips:
        return f"DEFECT of the lab: {lab.slips[0]}"
    return ", ".join(
        f"{count} {kind}" for kind, count in sorted(Counter(each["outcome"] for each in rows.values()).items())
    )


def suite(arguments: str) -> subprocess.CompletedProcess[str]:
    """Run tests at their longest."""
    command = [sys.executable, *f"-m pytest -q --timeout=3600 {arguments}".split()]
    longest = {**os.environ, "SOAK": "1"}
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=longest)


def last_line(done: subprocess.CompletedProcess[str]) -> str:
    """Give pytest's closing line."""
    return done.stdout.strip().splitlines()[-1].strip("= ")


def main() -> int:
    """Run the suites and write SOAK.md."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rollouts", type=int, default=100)
    parser.add_argument("--first-seed", type=int, default=1)
    wanted = parser.parse_args()
    clock = SystemClock()
    began = clock.now()
    properties = suite("-n 2 --hypothesis-profile=soak tests/property")
    between = clock.now()
    kills = suite("tests/documents/test_kills.py")
    killed = clock.now()
    seeds = range(wanted.first_seed, wanted.first_seed + wanted.rollouts)
    found = {seed: roll(seed) for seed in seeds}
    defects = {seed: text for seed, text in found.items() if text.startswith("DEFECT")}
    lines = [
        "# What the last soak tried and found",
        "",
        "Written by `make soak`.",
        "",
        f"- Properties, 3,000 examples each, in {between - began:.0f} s: {last_line(properties)}",
        f"- Apply killed at every system call that changes something, in {killed - between:.0f} s: {last_line(kills)}",
        *(f"  - {line}" for line in kills.stdout.splitlines() if "kill point" in line),
        f"- Rollouts in the lab over random fleets and faults, seeds {seeds[0]} to {seeds[-1]}:",
        f"  {len(found)} tried in {clock.now() - killed:.0f} s, {len(defects)} with a defect.",
        "",
        *(f"  - seed {seed}: {text}" for seed, text in defects.items()),
        "| seed | outcomes |",
        "|---|---|",
        *(f"| {seed} | {text} |" for seed, text in found.items()),
    ]
    page = ROOT / "SOAK.md"
    _, _, by_hand = page.read_text(encoding="utf-8").partition(BY_HAND)
    page.write_text("\n".join(lines) + f"\n{BY_HAND}{by_hand}", encoding="utf-8")
    sys.stdout.write("\n".join(lines[4:10]) + "\n")
    return 1 if defects or properties.returncode or kills.returncode else 0


if __name__ == "__main__":
    sys.exit(main())
