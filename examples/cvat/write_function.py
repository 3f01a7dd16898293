"""Write function.yaml with labels of your own.

    python examples/cvat/write_function.py car "traffic light" > my-function.yaml
    python examples/cvat/write_function.py --vocabulary vocabulary.yaml > my-function.yaml

Of a vocabulary, the labels are its classes; copy it beside main.py as vocabulary.yaml. What is
written takes the place of the function.yaml here before you deploy.
"""

import argparse
import json
import re
from pathlib import Path

from grounded_ram import InputError
from grounded_ram.vocabulary.edits import read_edits

TEMPLATE = Path(__file__).with_name("function.yaml")
SPEC = re.compile(r"(?<=    spec: \|\n)      \[\n.*?\n      \]\n", re.DOTALL)


def function_yaml(names: list[str]) -> str:
    """Return the template with other labels.

    Raises:
        InputError: there are none, or one comes twice.
    """
    if not names or len(set(names)) < len(names):
        raise InputError(f"expected labels, each once, got {', '.join(names) or 'none'}")
    rows = [{"id": i, "name": name, "type": "mask"} for i, name in enumerate(names)]
    lines = ",\n".join(f"        {json.dumps(row, ensure_ascii=False)}" for row in rows)
    template = TEMPLATE.read_text("utf-8")
    return SPEC.sub(lambda _: f"      [\n{lines}\n      ]\n", template, count=1)


def class_names(vocabulary: Path | None) -> list[str]:
    """Return what the classes of a vocabulary are called in the end."""
    if vocabulary is None:
        return []
    edits = read_edits(vocabulary)
    if not edits.classes:
        raise InputError(f"{vocabulary}: expected classes, got none; each becomes a label")
    return [edits.rename.get(name, name) for name in edits.classes]


def main() -> None:
    parser = argparse.ArgumentParser(description="Write a CVAT function.yaml.")
    parser.add_argument("labels", nargs="*", help="what to look for")
    parser.add_argument("--vocabulary", type=Path, help="a YAML file with classes")
    asked = parser.parse_args()
    try:
        print(function_yaml([*asked.labels, *class_names(asked.vocabulary)]), end="")
    except InputError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
