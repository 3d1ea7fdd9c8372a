"""Build step: the targets that people edit in ``export/`` travel inside the package, wheels included."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithTargets(build_py):
    """Copies ``export/*.yaml`` to ``maskclr_edge/targets/``."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:  # an editable install reads export/ itself
            return
        for target in self._targets():
            copy = self._copy_of(target)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(target, copy)

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        return [
            *super().get_outputs(include_bytecode),
            *(str(self._copy_of(target)) for target in self._targets()),
        ]

    def _targets(self) -> list[Path]:
        return sorted((Path(__file__).parent / "export").glob("*.yaml"))

    def _copy_of(self, target: Path) -> Path:
        return Path(self.build_lib, "maskclr_edge", "targets", target.name)


setup(cmdclass={"build_py": BuildWithTargets})
