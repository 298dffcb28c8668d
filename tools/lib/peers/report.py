"""The report of a comparison: results.json, table.md, and the figures in README."""

import json
import platform
import os
from dataclasses import asdict
from pathlib import Path

import side_by_side
from peers.figures import ROWS, Figure, measured_text, row_verdict
from side_by_side import Failure

BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"


class Report:
    """All that was measured into one folder. Invariant: `results.json` there has every part that is through."""

    def __init__(self, folder, is_new):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.path = self.folder / "results.json"
        self.content = {"parts": {}}
        if not is_new and self.path.exists():
            self.content = json.loads(self.path.read_text())

    def add(self, part, result, settings, versions, took_seconds):
        machine = {"system": platform.platform(), "cores": os.cpu_count(), "processor": processor()}
        self.content |= {"machine": machine, "settings": settings, "versions": {**self.content.get("versions", {}), **versions}}
        for figure in result.figures:
            figure.part = part
        self.content["parts"][part] = {
            "tookSeconds": round(took_seconds, 1),
            "figures": [figure.to_json() for figure in result.figures],
            "tables": [asdict(table) for table in result.tables],
            "raw": result.raw,
        }
        self.path.write_text(json.dumps(self.content, indent=1) + "\n")

    def figures(self):
        """{row: [figures]}, of all parts."""
        found = {row: [] for row in ROWS}
        for part in self.content["parts"].values():
            for entry in part["figures"]:
                if entry["row"] in found:
                    found[entry["row"]].append(Figure(**{name: value for name, value in entry.items() if name != "verdict"}))
        return found

    # Markdown

    def goals(self):
        table = [["work", "goal", "first bar", "measured", ""]]
        for name, figures in self.figures().items():
            row = ROWS[name]
            measured = [measured_text(figures), row_verdict(figures)] if figures else ["not measured", ""]
            table.append([row.work, row.limit(row.goal), row.limit(row.bar), *measured])
        return markdown(table)

    def noise(self):
        """The middle of the ± of ratios of CPU and of latency."""
        figures = [figure for figures in self.figures().values() for figure in figures if figure.noise]
        sentences = []
        for what, starts in [("CPU", ("cpu", "lease-hit")), ("p99", ("p99",))]:
            noises = sorted(figure.noise for figure in figures if figure.row.startswith(starts))
            if noises:
                sentences.append(f"±{noises[len(noises) // 2]:.0%} for a ratio of {what}")
        return " and ".join(sentences)

    def summary(self):
        versions = ", ".join(f"{name} {version}" for name, version in self.content["versions"].items() if name in ("memcached", "Redis"))
        machine, settings = self.content["machine"], self.content["settings"]
        lines = [
            f"{machine['cores']} cores ({machine['processor']}) shared with the load generator; {versions}; medians of at least {settings['rounds']} rounds"
            f" of {settings['seconds']} s, alternating; 16-byte keys, 32-byte values, 50 connections. Two figures are 1 / 2 workers.",
            "",
            self.goals(),
            "",
        ]
        if self.noise():
            lines.append(f"Half the range over the rounds is in the middle {self.noise()}.")
        texts = [figure.text for figures in self.figures().values() for figure in figures]
        if any("°" in text for text in texts):
            lines.append("°: the generator was over 85 % busy: in a closed loop its latency is its own, and the scheduler's, as much as the server's.")
        if any("†" in text for text in texts):
            lines.append("†: others used the machine meanwhile.")
        return "\n".join(lines)

    def tables(self):
        parts = []
        for part in self.content["parts"].values():
            for table in part["tables"]:
                parts += [f"## {table['title']}", "", markdown([table["header"], *table["lines"]]), "", table["note"], ""]
        return "\n".join(parts)

    def write(self):
        if not self.content["parts"]:
            raise Failure(f"{self.path} has nothing that was measured")
        text = f"# Side by side\n\n{self.summary()}\n\n{self.tables()}".rstrip() + "\n"
        (self.folder / "table.md").write_text(text)
        return text

    def write_readme(self):
        path = side_by_side.ROOT / "README.md"
        before, begin, rest = path.read_text().partition(BEGIN)
        _, end, after = rest.partition(END)
        if not begin or not end:
            raise Failure(f"README.md has no {BEGIN} and {END}")
        path.write_text(f"{before}{BEGIN}\n{self.summary()}\n{END}{after}")

    def missed(self):
        return [name for name, figures in self.figures().items() if not figures or row_verdict(figures) != "reached"]


def markdown(table):
    header, *lines = table
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [header, ["---"] * len(header), *lines])


def processor():
    names = [line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return names[0] if names else platform.machine()
