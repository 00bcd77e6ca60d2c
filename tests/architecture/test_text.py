import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDERS = ("src", "tests", "docs", "examples", "benchmarks", "tools")
HOME = re.compile(r"/(?:home|Users|root)/[A-Za-z]|[A-Z]:\\\\?Users")
TEXT = {".py", ".md", ".yaml", ".yml", ".toml", ".json", ".txt", ".html", ".xml", ".css", ".j2"}


def test_no_file_names_a_home_folder():
    files = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.suffix in TEXT]
    assert len(files) > 100
    found = [path.name for path in files if path != Path(__file__) and HOME.search(path.read_text(encoding="utf-8"))]
    assert found == []
