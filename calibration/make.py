"""Makes penn_action_small.json, the scale table of the bundled model, from Penn Action's training split.

python calibration/make.py penn_action_coco17.pkl
"""

import hashlib
import sys
from pathlib import Path

from maskclr_edge.checkpoint import read_checkpoint
from maskclr_edge.data import read_annotations
from maskclr_edge.deploy.manifest import now
from maskclr_edge.deploy.table_maker import make_table
from maskclr_edge.files import write_atomically
from maskclr_edge.runtime.bundled import bundled_checkpoint

TABLE = Path(__file__).parent / "penn_action_small.json"


def main() -> None:
    """Write the table; its metadata has the date and this command, and no folder of this machine."""
    if len(sys.argv) != 2:
        raise SystemExit("usage: python calibration/make.py penn_action_coco17.pkl")
    file = Path(sys.argv[1])
    table = make_table(
        read_checkpoint(bundled_checkpoint()),
        read_annotations(file),
        "train",
        data_sha256=hashlib.sha256(file.read_bytes()).hexdigest(),
        made={"date": now()[:10], "command": f"python calibration/make.py {file.name}"},
    )
    write_atomically(TABLE, table.to_bytes())
    print(f"{TABLE.name}: {len(table.ranges)} tensors, gaps: {', '.join(table.coverage['gaps']) or 'none'}")


if __name__ == "__main__":
    main()
