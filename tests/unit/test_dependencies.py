"""What is installed: whichever package comes last, the files are the same."""

from collections import defaultdict
from importlib.metadata import distributions


def test_no_two_packages_bring_the_same_file():
    owners = defaultdict(set)
    for package in distributions():
        for file in package.files or ():
            if file.suffix in (".py", ".so"):
                owners[str(file)].add(package.metadata["Name"])
    assert {file: names for file, names in owners.items() if len(names) > 1} == {}
