"""Test results as JUnit XML, which CI servers show."""

from collections.abc import Sequence
from xml.etree import ElementTree

from safegen.policy.policy import CaseResult


def junit(name: str, results: Sequence[CaseResult]) -> bytes:
    """One test suite with a case for each of the policy's tests."""
    failures = sum(bool(result.wrong) for result in results)
    suite = ElementTree.Element(
        "testsuite", name=name, tests=str(len(results)), failures=str(failures), errors="0"
    )
    for number, result in enumerate(results, 1):
        case = ElementTree.SubElement(
            suite, "testcase", classname=name, name=f"{number}: {ascii(result.case.told)[1:-1]}"
        )
        if result.wrong:
            failure = ElementTree.SubElement(case, "failure", message="; ".join(result.wrong))
            failure.text = "\n".join(explained(result))
    root = ElementTree.Element("testsuites")
    root.append(suite)
    ElementTree.indent(root)
    return bytes(ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)) + b"\n"


def explained(result: CaseResult) -> list[str]:
    """What went wrong, and what the rules saw that fired or should have: a line each."""
    fired = {rule.id for rule in result.decision.rules}
    lines = list(result.wrong)
    for rule, values in result.saw.items():
        saw = ", ".join(f"{name} = {value}" for name, value in values.items()) or "nothing"
        lines.append(f"{rule} {'fired' if rule in fired else 'did not fire'}, saw {saw}")
    return lines
