"""Reads the editions of the survey, whole and checked, before anything starts."""

from pathlib import Path

from pydantic import ValidationError

from central_server.domain.surveys import Survey
from central_server.domain.yaml_lines import WrongFileError, explain, parse_mapping


def load_surveys(directory: Path) -> tuple[Survey, ...]:
    """Every `*.yaml` there; raises `WrongFileError` with the line that is wrong."""
    surveys: dict[tuple[str, object], Survey] = {}
    for path in sorted(directory.glob("*.yaml")):
        text = path.read_text(encoding="utf-8")
        try:
            survey = Survey.model_validate(parse_mapping(text, str(path)))
        except ValidationError as error:
            raise WrongFileError(explain(error, text, str(path))) from error
        edition = (survey.name, survey.effective_from)
        if edition in surveys:
            raise WrongFileError(f"{path}:1: a second edition of {survey.name} with the same day")
        surveys[edition] = survey
    if not surveys:
        raise WrongFileError(f"{directory}: no edition of the survey is there")
    return tuple(surveys.values())
