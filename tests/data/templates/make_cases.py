#!/usr/bin/env python3
"""Writes into cases.jsonl what transformers makes of its templates: "text", or "error" with the message.
A line is {"id", "template", "context"}; what stands there besides is replaced. The time of strftime_now is
2026-11-30 09:05:07. Needs transformers 5.24 and jinja2 3.1.6."""
import datetime, json, os

os.environ["TRANSFORMERS_VERBOSITY"] = "error"
import transformers.utils.chat_template_utils as hf


class Fixed(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls(2026, 11, 30, 9, 5, 7)


hf.datetime = Fixed
path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "cases.jsonl")
lines = []
for line in open(path, encoding="utf8"):
    case = json.loads(line)
    kept = {key: case[key] for key in ("id", "template", "context")}
    try:
        kept["text"] = hf._compile_jinja_template(case["template"]).render(**case["context"])
    except Exception as e:
        kept["error"] = str(e)
    lines.append(json.dumps(kept) + "\n")
open(path, "w", encoding="utf8").writelines(lines)
