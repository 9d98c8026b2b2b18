"""Parameter name -> module, by patterns; what one sigma governs (Chen et al. 2020, section 3: a module is a layer).

`frozen` is a module like any other whose parameters stay at phi (sigma = 0). A name no pattern matches is an error:
a parameter silently left out of the prior would be one nobody regularises.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase

FROZEN = "frozen"


class Partition:
    """`modules`: {module: patterns} (shell wildcards), first match wins; applied to `names`.

    Raises ValueError when a name matches nothing or a pattern matches no name.
    """

    def __init__(self, modules: Mapping[str, Iterable[str]], names: Iterable[str]) -> None:
        rules = [(m, p) for m, patterns in modules.items() for p in patterns]
        used = set()
        self.module_of: dict[str, str] = {}
        for name in names:
            match = next(((m, p) for m, p in rules if fnmatchcase(name, p)), None)
            if match is None:
                raise ValueError(
                    f"The parameter {name!r} belongs to no module of the partition ({', '.join(modules)}); "
                    f"add a pattern for it, or put it under {FROZEN!r}."
                )
            self.module_of[name] = match[0]
            used.add(match)
        unused = [f"{m}: {p}" for m, p in rules if (m, p) not in used]
        if unused:
            raise ValueError(f"The patterns {unused} match no parameter; names are like {list(self.module_of)[:4]}.")
        seen = dict.fromkeys(self.module_of.values())
        self.modules: list[str] = [m for m in seen if m != FROZEN]
        self.index = {m: i for i, m in enumerate(self.modules)}

    @classmethod
    def by_layer(cls, names: Iterable[str], alone: Iterable[str] = (), frozen: Iterable[str] = ()) -> Partition:
        """One module a layer (the name without its last part); names matching `alone` are modules of their own."""
        names = list(names)
        alone, frozen = list(alone), list(frozen)
        modules: dict[str, list[str]] = {FROZEN: frozen} if frozen else {}
        for name in names:
            if any(fnmatchcase(name, p) for p in frozen):
                continue
            layer = name if any(fnmatchcase(name, p) for p in alone) else name.rpartition(".")[0] or name
            modules.setdefault(layer, []).append(name)
        return cls(modules, names)

    @classmethod
    def single(cls, names: Iterable[str], frozen: Iterable[str] = ()) -> Partition:
        """All parameters in one module (iMAML's lambda); ANIL is the case that freezes the body."""
        frozen = list(frozen)
        return cls({**({FROZEN: frozen} if frozen else {}), "all": ["*"]}, names)

    def free(self) -> list[str]:
        """Names that may move."""
        return [n for n, m in self.module_of.items() if m != FROZEN]

    def members(self, module: str) -> list[str]:
        return [n for n, m in self.module_of.items() if m == module]
