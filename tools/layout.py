"""Prints the size of the package and who imports whom: files, lines, imports between the top packages, cycles.

tools/venv/bin/python tools/layout.py
tools/venv/bin/python tools/layout.py --root ../another_checkout
"""

from __future__ import annotations

import argparse
import ast
import statistics
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--root", type=Path, default=ROOT, help="a checkout; default: this one")
    package = parser.parse_args().root / "v2skit"
    lines = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in package.rglob("*.py")}
    largest = max(lines, key=lambda path: lines[path])
    imports = {path: imported(package, path) for path in lines}
    edges = {(top(package, path), name) for path, names in imports.items() for name in names}
    rows = {
        "files": len(lines),
        "lines": sum(lines.values()),
        "median lines of a file": round(statistics.median(lines.values())),
        "largest file": f"{largest.relative_to(package)}, {lines[largest]} lines",
        "names at the top": len({top(package, path) for path in lines}),
        "imports between them": sum(len(names) for names in imports.values()),
        "pairs of them": len(edges),
        "layers": len(layers(edges)),
        "in cycles": ", ".join(cyclic(edges)) or "none",
    }
    for name, value in rows.items():
        print(f"{name:24}{value}")


def top(package: Path, path: Path) -> str:
    """The top-level package or module of v2skit that a file belongs to."""
    return path.relative_to(package).parts[0].removesuffix(".py")


def imported(package: Path, path: Path) -> set[str]:
    """The other top-level packages and modules of v2skit that a file imports, at its top or where it uses them."""
    modules = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            modules |= {node.module} if "." in node.module else {f"{node.module}.{a.name}" for a in node.names}
        elif isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
    parts = {tuple(module.split(".")) for module in modules}
    names = {(*module, "__init__")[1] for module in parts if module[0] == "v2skit"}
    known = {name for name in names if (package / name).is_dir() or (package / f"{name}.py").is_file()}
    return ({*known, "__init__"} if names - known else known) - {top(package, path)}


def cyclic(edges: set[tuple[str, str]]) -> list[str]:
    """The names that import each other, directly or not."""
    reached = {name: {b for a, b in edges if a == name} for name in {a for a, _ in edges}}
    for _ in reached:
        for name, found in reached.items():
            reached[name] = found.union(*(reached.get(other, set()) for other in found))
    return sorted(name for name, found in reached.items() if name in found)


def layers(edges: set[tuple[str, str]]) -> list[set[str]]:
    """The names from the ground up, each in the layer above all that it imports; what is in cycles is one layer."""
    names, found = {name for edge in edges for name in edge}, []
    while names:
        low = {name for name in names if not any(a == name and b in names for a, b in edges)} or names
        found.append(low)
        names = names - low
    return found


if __name__ == "__main__":
    main()
