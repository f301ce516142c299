"""What a user may write under ``Slim:``. Validation needs neither Paddle nor PaddleClas."""

from .distill import DistillConfig
from .prune import PruneConfig, ScheduleConfig
from .quant import QuantConfig
from .quant_methods import LsqConfig, PactConfig
from .report import ReportConfig
from .section import SlimConfig, json_schema, read_section

__all__ = [
    "DistillConfig",
    "LsqConfig",
    "PactConfig",
    "PruneConfig",
    "QuantConfig",
    "ReportConfig",
    "ScheduleConfig",
    "SlimConfig",
    "json_schema",
    "read_section",
]
