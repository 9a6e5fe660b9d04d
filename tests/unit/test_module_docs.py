# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the modules' documentation promises, compared with what the modules take."""

from __future__ import annotations

import importlib
import pathlib

import pytest
import yaml
from ansible_collections.holdfast.db.plugins.module_utils.adapter import argument_spec

PLUGINS = pathlib.Path(__file__).parents[2] / "plugins"
MODULES = sorted(path.stem for path in (PLUGINS / "modules").glob("[a-z]*.py"))
SECRETS = {"login_password", "age_identity"}
RESERVED = {"started", "finished", "attempts", "results", "ansible_facts", "warnings", "invocation", "skipped"}


def module_named(name):
    return importlib.import_module("ansible_collections.holdfast.db.plugins.modules.%s" % name)


def documentation_of(name):
    """The documentation with its fragments in place, as a reader sees it."""
    shown = yaml.safe_load(module_named(name).DOCUMENTATION)
    for fragment in shown["extends_documentation_fragment"]:
        stem = fragment.rpartition(".")[2]
        source = importlib.import_module("ansible_collections.holdfast.db.plugins.doc_fragments.%s" % stem)
        added = yaml.safe_load(source.ModuleDocFragment.DOCUMENTATION)
        shown["options"] = {**added["options"], **shown.get("options", {})}
        attributes = added.get("attributes", {})
        for word, own in shown.get("attributes", {}).items():
            attributes[word] = {**attributes.get(word, {}), **own}
        shown["attributes"] = attributes or shown.get("attributes")
    return shown


def test_there_are_modules():
    assert MODULES == ["backup", "backup_info", "kept_database", "kept_database_info", "prune", "restore", "verify"]


@pytest.mark.parametrize("name", MODULES)
def test_documentation_names_the_options_that_the_module_takes(name):
    taken = {
        option: {word: value for word, value in how.items() if word != "no_log"}
        for option, how in argument_spec(module_named(name).OPTIONS).items()
    }
    documented = {
        option: {word: value for word, value in how.items() if word not in ("description", "version_added")}
        for option, how in documentation_of(name)["options"].items()
    }
    assert documented == taken


@pytest.mark.parametrize("name", MODULES)
def test_common_options_are_the_same_everywhere_so_that_module_defaults_carry_them(name):
    common = argument_spec({})
    own = set(module_named(name).OPTIONS)
    assert not own & set(common)
    assert {
        option: how for option, how in argument_spec(module_named(name).OPTIONS).items() if option in common
    } == common


@pytest.mark.parametrize("name", MODULES)
def test_only_secrets_are_hidden_for_hiding_a_name_hides_it_everywhere(name):
    hidden = {option for option, how in argument_spec(module_named(name).OPTIONS).items() if how.get("no_log")}
    assert hidden <= SECRETS
    assert hidden == SECRETS & set(argument_spec(module_named(name).OPTIONS))


@pytest.mark.parametrize("name", MODULES)
def test_each_attribute_says_whether_it_is_supported(name):
    attributes = documentation_of(name)["attributes"]
    assert set(attributes) == {"action", "action_group", "async", "check_mode", "diff_mode", "idempotent", "platform"}
    for attribute in attributes.values():
        assert attribute["description"]
        assert attribute["support"] in ("full", "partial", "N/A")


@pytest.mark.parametrize("name", MODULES)
def test_results_nest_under_one_key_and_each_key_is_explained(name):
    returned = yaml.safe_load(module_named(name).RETURN)
    assert "msg" in returned
    assert len(set(returned) - {"msg"}) == 1
    assert not RESERVED & set(returned)

    def check(keys, where):
        for key, value in keys.items():
            assert value["description"], where + key
            assert value["type"], where + key
            assert "contains" in value or "sample" in value, where + key
            check(value.get("contains", {}), "%s%s." % (where, key))

    check(returned, "")


@pytest.mark.parametrize("name", MODULES)
def test_each_module_has_an_action_plugin_and_is_in_the_action_group(name):
    action = importlib.import_module("ansible_collections.holdfast.db.plugins.action.%s" % name)
    assert action.ActionModule.module == "holdfast.db.%s" % name
    runtime = yaml.safe_load((PLUGINS.parent / "meta" / "runtime.yml").read_text())
    assert name in runtime["action_groups"]["holdfast"]


def test_each_action_plugin_has_a_module():
    actions = {path.stem for path in (PLUGINS / "action").glob("[a-z]*.py")}
    assert actions == set(MODULES)
    runtime = yaml.safe_load((PLUGINS.parent / "meta" / "runtime.yml").read_text())
    assert set(runtime["action_groups"]["holdfast"]) == set(MODULES)


@pytest.mark.parametrize("name", MODULES)
def test_examples_are_tasks_that_use_the_module_by_its_full_name(name):
    tasks = yaml.safe_load(module_named(name).EXAMPLES)
    assert all(task["name"][0].isupper() for task in tasks)
    assert any("holdfast.db.%s" % name in task for task in tasks)


@pytest.mark.parametrize("name", ["backup_info", "kept_database_info"])
def test_what_only_lists_carries_little_to_the_host(name):
    text = (PLUGINS / "modules" / ("%s.py" % name)).read_text()
    assert "operations.create" not in text
    assert "operations.restore" not in text
