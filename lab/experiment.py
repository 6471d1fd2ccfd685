"""What an experiment file says: topology, workload, phases, faults, hypothesis, expectation.

Owns the shapes only. Whether a named fault or checker exists, and whether it fits, is for
`plan`; this module reads no registry.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from lab.errors import Refused
from lab.mistakes import Below
from lab.verdict import ExpectedWord

LeadersIn = Literal["home", "faulted", "elsewhere", "any"]
Seconds = Annotated[float, Field(ge=0, le=86_400, strict=True)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Phases(_Model):
    """How long each phase under load lasts, in seconds."""

    steady_s: Annotated[float, Field(ge=4, le=86_400, strict=True)] = 12
    fault_s: Annotated[float, Field(ge=2, le=86_400, strict=True)] = 30
    recovery_s: Annotated[float, Field(ge=2, le=86_400, strict=True)] = 20

    @property
    def load_s(self) -> float:
        return self.steady_s + self.fault_s + self.recovery_s


class _Named(_Model):
    """A part named in a file with its settings: `name`, or `{name: {setting: value}}`."""

    kind: str
    settings: dict[str, Any] = Field(default_factory=dict)

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """The schema of what people write (a name, or `{name: {…}}`), and of what `dump` spells out."""
        schema = handler(core)
        held = handler.resolve_ref_schema(schema)
        spelled_out = dict(held)
        own = {name: shape for name, shape in held["properties"].items() if name not in ("kind", "settings")}
        short = {
            "type": "object",
            "properties": own,
            "additionalProperties": {"type": ["object", "null"]},
            "minProperties": 1,
            "maxProperties": 1 + len(own),
        }
        held.clear()
        held.update(description=spelled_out.get("description", ""), anyOf=[{"type": "string"}, short, spelled_out])
        return schema

    @classmethod
    def _split(cls, data: Any, own: tuple[str, ...], what: str) -> Any:
        """`{latency: {…}, at_s: 0}` → `{kind: latency, settings: {…}, at_s: 0}`."""
        if isinstance(data, str):
            return {"kind": data}
        if not isinstance(data, dict) or "kind" in data:
            return data
        names = [key for key in data if key not in own]
        if len(names) != 1:
            extra = f" beside {', '.join(own)}" if own else ""
            found = ", ".join(map(repr, names)) or "none"
            mend = "begin each with `- ` of its own, and indent its settings below it" if own else "keep one"
            raise ValueError(f"expected exactly one {what} name{extra}, found {found}; {mend}")
        settings = data[names[0]]
        if settings is not None and not isinstance(settings, dict):
            raise ValueError(f"expected settings of {names[0]!r} as `{{key: value}}`, found {settings!r}")
        rest = {key: data[key] for key in own if key in data}
        return {"kind": names[0], "settings": settings or {}, **rest}


class FaultPlan(_Named):
    """One fault on the schedule: `{latency: {region: sg, add_ms: [1000, 2000]}, at_s: 0, for_s: 30}`.

    `at_s` counts from the begin of the fault phase; without `for_s` it stays until the heal.
    """

    at_s: Seconds = 0
    for_s: Annotated[float, Field(gt=0, le=86_400, strict=True)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _shape(cls, data: Any) -> Any:
        return cls._split(data, ("at_s", "for_s"), "fault")


class WorkloadPlan(_Named):
    """The workload: `kv`, or `{kv: {rate_per_s: 50}}`."""

    @model_validator(mode="before")
    @classmethod
    def _shape(cls, data: Any) -> Any:
        return cls._split(data, (), "workload")


Expected = ExpectedWord | dict[LeadersIn, ExpectedWord]


class Experiment(_Model):
    """One question put to one topology, as a file in `experiments/`."""

    name: str = Field("", description="Taken from the file's name when left out.")
    question: str = Field("", description="What this experiment asks, in one sentence.")
    source: str = Field("", description="The incident or document it comes from.")
    topology: str = Field(description="A name in topologies/, or a path to a file.")
    workload: WorkloadPlan = WorkloadPlan(kind="kv")
    leaders_in: LeadersIn = Field(
        "home", description="Where leaders must be when the fault is entered (DESIGN: leaders_in)."
    )
    phases: Phases = Phases()
    faults: list[FaultPlan] = Field(default_factory=list, max_length=64)
    hypothesis: list[str] = Field(
        default_factory=lambda: ["isolation", "durability"],
        min_length=1,
        description="Checkers that decide; `evidence` always runs first.",
    )
    expect: dict[str, dict[str, Expected]] = Field(
        default_factory=dict,
        description="Per arm (or backend) and checker what is known to come out, `either` too; else `valid`.",
    )

    @field_validator("faults")
    @classmethod
    def _faults_end_with_their_phase(cls, faults: list[FaultPlan], info: ValidationInfo) -> list[FaultPlan]:
        phase_s = info.data["phases"].fault_s if "phases" in info.data else float("inf")
        for index, fault in enumerate(faults):
            if fault.at_s + (fault.for_s or 0) > phase_s + 1e-6 or fault.at_s >= phase_s:
                raise Below(
                    f"expected {fault.kind!r} to end with the fault phase, which has {phase_s:g} s, found it from "
                    f"{fault.at_s:g} s for {'the rest' if fault.for_s is None else f'{fault.for_s:g} s'}; "
                    f"shorten it, or make phases.fault_s longer",
                    index,
                )
        return faults

    @field_validator("expect")
    @classmethod
    def _arms_as_they_print(cls, expect: dict[str, dict[str, Expected]]) -> dict[str, dict[str, Expected]]:
        """Options in any order mean the same arm."""
        try:
            return {Arm.parse(text).text: words for text, words in expect.items()}
        except Refused as refused:
            raise ValueError(str(refused).rstrip(".")) from None

    def expected(self, arm: Arm, checker: str) -> ExpectedWord:
        """What the file says of this arm and checker; `valid` where it says nothing."""
        per_checker = self.expect.get(arm.text, self.expect.get(arm.backend, {}))
        word = per_checker.get(checker, "valid")
        return word if isinstance(word, str) else word.get(self.leaders_in, "valid")


@dataclass(frozen=True)
class Arm:
    """What is compared: `backend[@version|@path|@image:ref][+option=value…]`."""

    backend: str
    version: str = ""
    options: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse(cls, text: str) -> Arm:
        """Read an arm as typed; raises `Refused` with the form when it does not fit it."""
        head, *options = text.strip().split("+")
        backend, at, version = head.partition("@")
        pairs = [tuple(option.split("=", 1)) for option in options]
        whole = all(len(p) == 2 and all(p) for p in pairs) and len({p[0] for p in pairs}) == len(pairs)
        if not re.fullmatch(r"[a-z][a-z0-9-]*", backend) or bool(at) != bool(version) or not whole:
            raise Refused(
                f"arm {text!r} is not of the form backend[@version|@path][+option=value…], "
                "for example jetstream-stretched@2.10.26+sync=always."
            )
        return cls(backend, version, tuple(sorted((p[0], p[1]) for p in pairs)))

    @property
    def text(self) -> str:
        version = f"@{self.version}" if self.version else ""
        return self.backend + version + "".join(f"+{k}={v}" for k, v in self.options)

    @property
    def slug(self) -> str:
        """The arm as a directory name."""
        return re.sub(r"[^A-Za-z0-9._=+@-]+", "_", self.text)[:120]

    def __str__(self) -> str:
        return self.text
