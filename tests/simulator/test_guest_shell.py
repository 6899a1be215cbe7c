"""The shell inside guests understands the scripts that management software punches, and nothing it runs leaves it."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.boot_support import guest, run, running, start
from simulator.support import write_image
from zvmcloud.directory.devices import Mdisk
from zvmcloud.simulator import directory_manager as dm
from zvmcloud.simulator import guest_memory, storage
from zvmcloud.simulator.clock import ManualClock
from zvmcloud.simulator.guest_configuration import run_script
from zvmcloud.simulator.guest_files import Files
from zvmcloud.simulator.shell_syntax import ShellSyntaxError, parse
from zvmcloud.simulator.system import System


@pytest.fixture
def vm(system: System, clock: ManualClock) -> System:
    with system.transaction():
        guest(system, "IPL 0100")
        dm.add_disk(system, "LINUX01", Mdisk("0100", "3390", "AUTOG", None, 10, "POOL1", "MR"))
    write_image(storage.file_of(system, system.disks["LINUX01.0100"]))
    start(system, clock)
    return system


@pytest.mark.parametrize(
    ("command", "output"),
    [
        ("a=1; b='x y'; echo $a \"$b\" ${b#x } ${a:-9} ${c:-9} ${#b}", "1 x y y 1 9 3\n"),
        ('x=(a b \'c d\'); for i in "${x[@]}"; do echo -n "[$i]"; done; echo ${#x[@]} ${x[1]}', "[a][b][c d]3 b\n"),
        ("x=(`echo one two`); x+=(three); echo ${x[2]} ${x[@]}", "three one two three\n"),
        ("n=0; while [ $n -lt 3 ]; do n=$((n + 1)); echo -n $n; done", "123"),
        ("n=7; : ; m=$((n-=2)); echo $n $m $((10 / 3)) $((2 * (3 + 4))) $((1 / 0))", "5 5 3 14 0\n"),
        ("if [[ -n a && ( b == b ) ]] || false; then echo yes; else echo no; fi", "yes\n"),
        ('if [ -z "$none" ]; then echo empty; elif true; then echo other; fi', "empty\n"),
        ("case web01 in db*) echo db;; web*|app*) echo web;; esac", "web\n"),
        ('f() { echo "$1-$#"; return 3; }; f a b; echo $?', "a-2\n3\n"),
        ("printf '%s:%s\\n' a b | tr a-z A-Z", "A:B\n"),
        ("echo 'b 2\nb 2\na 1' | sort | uniq | awk '{print $2, $1}'", "1 a\n2 b\n"),
        ("echo a:b:c | cut -d : -f 2-; echo x | grep -q y || echo none", "b:c\nnone\n"),
        ("echo one > /etc/x; echo two >> /etc/x; cat /etc/x | wc -l; rm /etc/x; ls /etc/x", "2\n"),
        ("[[ web01 =~ ^web[0-9]+$ ]] && echo match; [[ web01 == db* ]] || echo differs", "match\ndiffers\n"),
        ("echo $(echo `echo deep`); (echo sub); { echo group; } | cat", "deep\nsub\ngroup\n"),
        ("for i in $(seq 3); do [ $i -eq 2 ] && continue; echo -n $i; done; echo", "13\n"),
        ("# a comment\necho one \\\n two # behind", "one two\n"),
        ("cat /proc/cmdline | tr ' ' '\\n' | grep -a '^root=' | cut -c6-", "/dev/disk/by-path/ccw-0.0.0100-part1\n"),
        ("readlink -f /dev/disk/by-path/ccw-0.0.0100-part1", "/dev/dasda1\n"),
        ("grep -v ^# /etc/os-release | grep ^ID= | sed 's/ID=\"\\(.*\\)\"/<\\1>/'", "<zvmsample>\n"),
        ("echo -n ZHCP > /etc/iucv_authorized_userid; cat /etc/iucv_authorized_userid", "ZHCP"),
        ("ls /etc/*-release", "/etc/os-release\n"),
        (
            "echo hello | base64; echo aGVsbG8K | base64 -d; echo % | base64 -d || echo $?",
            "aGVsbG8K\nhello\n1\nbase64: invalid input\n",
        ),
        ("echo root:s3cret | chpasswd && cut -d: -f1 /etc/shadow; grep -c s3cret /etc/shadow", "root\n0\n"),
        ("echo nobody:x | chpasswd", "chpasswd: line 1: user 'nobody' does not exist\n"),
        ("echo root: | chpasswd", "chpasswd: line 1: missing new password\n"),
        ("sudo /usr/sbin/vmcp query userid | awk '{print $1}'", "LINUX01\n"),
    ],
)
def test_what_scripts_use_of_the_shell(vm: System, command: str, output: str) -> None:
    assert run(vm, command)[1].removesuffix("ls: cannot access '/etc/x': No such file or directory\n") == output


@pytest.mark.parametrize(
    ("command", "rc"),
    [
        ("nonsense --now", 127),
        ("/opt/own/program", 127),
        ("exit 7", 7),
        ("false || exit 3; exit 4", 3),
        ("while true; do :; done", 124),
        ("f() { f; }; f", 2),
        ("x=aaaaaaaa; while true; do x=$x$x; done", 2),
        ("x=(a b c d); while true; do x=(${x[@]} ${x[@]}); done", 2),
        ("x=$(printf '%s' aaaaaaaa); for i in $(seq 15); do x=$x$x; done; y=${x//a/$x}", 2),
        ("echo 'open", 2),
        ("if true; then echo", 2),
        ("cat <<END\nx\nEND", 2),
        ("cat /etc/shadow", 1),
        ("grep 'a[' /etc/os-release", 2),
        ("echo x > /proc/cmdline", 1),
    ],
)
def test_how_commands_end(vm: System, command: str, rc: int) -> None:
    assert run(vm, command)[0] == rc


def test_a_costly_pattern_is_refused(vm: System) -> None:
    assert run(vm, "echo aaaa | grep -E '(a+)+$'")[0] == 2
    assert run(vm, "[[ aaaa =~ (a+)+$ ]]")[0] == 1


def test_nothing_of_this_machine_is_seen_or_changed(vm: System, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    mark.write_text("outside")
    assert run(vm, f"cat {mark}")[0] == 1
    assert run(vm, f"echo inside > {mark}; cat {mark}") == (0, "inside\n")
    assert mark.read_text() == "outside"
    assert run(vm, f"rm -f {mark}")[0] == 0
    assert mark.exists()


def test_the_disk_of_the_model_is_full_some_day(vm: System) -> None:
    script = "for i in $(seq 300); do echo x > /root/file$i || exit 28; done"
    assert run(vm, script) == (28, "sh: /root/file257: No space left on device\n")
    assert len(guest_memory.get(vm, running(vm).root).files) == guest_memory.MAX_FILES


def test_what_a_script_writes_survives_a_reboot_and_goes_with_the_disk(vm: System, clock: ManualClock) -> None:
    run(vm, "hostnamectl set-hostname kept01; echo data > /root/notes")
    run(vm, "shutdown -r now")
    clock.advance(1)
    clock.advance(1)
    assert running(vm).hostname == "kept01"
    assert run(vm, "cat /root/notes") == (0, "data\n")
    write_image(storage.file_of(vm, vm.disks["LINUX01.0100"]))
    run(vm, "shutdown -r now")
    clock.advance(1)
    clock.advance(1)
    assert running(vm).hostname == "localhost"
    assert run(vm, "cat /root/notes")[0] == 1


@given(st.text(alphabet="ab$(){}[]'\"`\\|&;<>=#!*?-+ \n/0if dotenhs", max_size=60))
@settings(max_examples=400)
def test_any_text_is_a_script_or_a_syntax_error(text: str) -> None:
    with suppress(ShellSyntaxError):
        assert parse(text).items is not None


@pytest.mark.parametrize(
    "text", ["${", "$(", "`", "${x", "x=(", "a[", "$((", "${x[}", "$(()", "[[ a", "[[ ! ]]", "[ = ]", "${x:a}"]
)
def test_odd_ends_do_no_harm(vm: System, text: str) -> None:
    with vm.transaction():
        assert isinstance(run_script(Files(vm, "LINUX01"), text), int)
