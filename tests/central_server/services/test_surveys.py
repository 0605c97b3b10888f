"""The shipped survey is the one of DOMAIN.md; a wrong file is named with its line."""

from datetime import date
from pathlib import Path

import pytest

from central_server.domain.surveys import edition_on
from central_server.domain.yaml_lines import WrongFileError
from central_server.services.surveys import load_surveys


def test_the_shipped_survey_has_five_factors_and_22_items(repository: Path) -> None:
    (survey,) = load_surveys(repository / "configs" / "surveys")
    assert [len(factor.items) for factor in survey.factors] == [4, 5, 6, 3, 4]
    assert len(survey.item_keys) == 22
    assert {"1.1", "2.5", "3.6", "4.3", "5.4"} <= survey.item_keys
    assert survey.answers[5].vi == "Rất hài lòng"


def test_an_edition_applies_from_its_day(repository: Path, tmp_path: Path) -> None:
    text = (repository / "configs" / "surveys" / "sipas_2023.yaml").read_text()
    (tmp_path / "a.yaml").write_text(text)
    (tmp_path / "b.yaml").write_text(text.replace("2023-01-01", "2025-07-01"))
    surveys = load_surveys(tmp_path)
    assert edition_on(surveys, date(2022, 12, 31)) is None
    for day, first in [
        (date(2023, 1, 1), date(2023, 1, 1)),
        (date(2025, 6, 30), date(2023, 1, 1)),
        (date(2025, 7, 1), date(2025, 7, 1)),
    ]:
        edition = edition_on(surveys, day)
        assert edition is not None
        assert edition.effective_from == first


def test_a_wrong_file_is_named_with_its_line(repository: Path, tmp_path: Path) -> None:
    text = (repository / "configs" / "surveys" / "sipas_2023.yaml").read_text()
    wrong = text.replace("effective_from: 2023-01-01", "effective_from: soon")
    (tmp_path / "a.yaml").write_text(wrong)
    line = wrong.splitlines().index("effective_from: soon") + 1
    with pytest.raises(WrongFileError, match=rf"a\.yaml:{line}: effective_from"):
        load_surveys(tmp_path)


def test_two_editions_of_one_day_and_no_edition_are_refused(
    repository: Path, tmp_path: Path
) -> None:
    with pytest.raises(WrongFileError, match="no edition"):
        load_surveys(tmp_path)
    text = (repository / "configs" / "surveys" / "sipas_2023.yaml").read_text()
    (tmp_path / "a.yaml").write_text(text)
    (tmp_path / "b.yaml").write_text(text)
    with pytest.raises(WrongFileError, match=r"b\.yaml:1: a second edition"):
        load_surveys(tmp_path)
