"""The table of commands: help, completion and manual tell the same, and the parser takes what they tell."""
import json
import os
import pathlib
import pty
import re
import select
import shutil
import subprocess
import time
import unittest

from cli import SONANT, SOURCE, TINY, Case, run


def candidates(*words, env=None):
    """What completes the last word, and what the shell is to add."""
    lines = run("complete", "--", *words, env=env).stdout.decode().splitlines()
    return [line.split("\t")[0] for line in lines[:-1]], lines[-1]


def commands():
    """Each with the words that call it."""
    first = [[c] for c in candidates("")[0] if not c.startswith("-")]
    return first + [["serve", "keys"]]


def options(text):
    return set(re.findall(r"(?m)^  (?:-\w,|   ) --([\w-]+)", text))


class Table(Case):
    def test_help_completion_and_manual_have_the_same_options(self):
        self.assertEqual(run("man", self.folder).returncode, 0)
        for words in commands():
            with self.subTest(command=words):
                help_text = run(*words, "--help").stdout.decode()
                told = options(help_text)
                self.assertIn("help", told)
                self.assertEqual({"--" + name for name in told}, set(candidates(*words, "--")[0]))
                page = (self.folder / f"sonant-{'-'.join(words)}.1").read_text()
                self.assertEqual(told, set(re.findall(r"(?m)^\.It(?: Fl \w ,)? Fl -([\w-]+)", page)))
                letters = set(re.findall(r"(?m)^  -(\w),", help_text))
                self.assertEqual(letters, set(re.findall(r"(?m)^\.It Fl (\w) ,", page)))
                self.assertEqual(help_text, run("help", *words).stdout.decode())

    def test_every_option_is_taken(self):
        for words in commands():
            with self.subTest(command=words):
                apart, joined, switches = [], [], []
                for option, value in re.findall(r"(?m)^  (?:-\w,|   ) (--[\w-]+)(?: (\S+))?", run(*words, "--help").stdout.decode()):
                    choice = value.split("|")[0] if "|" in value else "auto" if value == "TYPE" else "1"
                    if value == option[2:].upper(): # a long list
                        choice = (candidates(*words, option, "")[0] or ["1"])[0]
                    apart += [option] + ([choice] if value else [])
                    joined += [f"{option}={choice}"] if value else []
                    switches += [] if value else [option]
                    if value:
                        last = option
                apart.remove("--help")
                done = run(*words, *apart, "--help")
                self.assertEqual(done.returncode, 0, done.errors)
                done = run(*words, *joined, "--help")
                self.assertEqual(done.returncode, 0, done.errors)
                self.fails(run(*words, last), 2, last, "needs a value")
                self.fails(run(*words, switches[0] + "=1"), 2, "takes no value")

    def test_every_choice_is_taken_and_no_other(self):
        for words in commands():
            for option in ("--format", "--task", "--audio", "--color"):
                choices, _ = candidates(*words, option, "")
                if option not in candidates(*words, "--")[0]:
                    continue
                self.assertTrue(choices)
                for choice in choices:
                    self.assertEqual(run(*words, option, choice, "--help").returncode, 0)
                self.fails(run(*words, option, "nonesuch"), 2, "nonesuch")

    def test_near_names_are_suggested(self):
        for args, says in [(["trnascribe"], "did you mean transcribe?"), (["transcribe", "--fromat", "srt"], "did you mean --format?"),
                           (["transcribe", "--format", "str"], "did you mean srt?"), (["models", "lst"], "did you mean list?"),
                           (["help", "spaek"], "did you mean speak?"), (["convert", "a.wav", "-o", "{stme}.wav"], "did you mean {stem}?")]:
            with self.subTest(args=args):
                self.fails(run(*args), 2, says)
        self.fails(run("models", "info", "whisper-bsae"), 3, "did you mean whisper-base?")
        for args in (["xyzzy"], ["models", "info", "xyzzy"], ["models", "info", "base"]):
            self.assertNotIn("did you mean", run(*args, env={"SONANT_HOME": str(self.folder), "HF_HUB_CACHE": str(self.folder)}).errors)

    def test_names_complete_from_what_is_installed(self):
        home = {"SONANT_HOME": str(self.folder), "HF_HUB_CACHE": str(self.folder)}
        folder = self.folder / "models" / "mine"
        shutil.copytree(TINY / "whisper", folder)
        listed = [m["name"] for m in json.loads(run("models", "list", "--json", env=home).stdout) if m["installed"]]
        self.assertEqual(candidates("transcribe", "-m", "", env=home)[0], listed)
        self.assertEqual(candidates("speak", "-m", "", env=home)[0], [])
        self.assertIn("joe", candidates("models", "pull", "", env=home)[0])
        self.assertIn("de", candidates("transcribe", "--language", "")[0])
        self.assertEqual(candidates("transcribe", "--language=germ")[0], [])
        self.assertEqual(candidates("transcribe", "--task=tr")[0], ["--task=transcribe", "--task=translate"])

    def test_files_and_words_where_they_belong(self):
        self.assertEqual(candidates("transcribe", ""), ([], ":file"))
        self.assertEqual(candidates("transcribe", "--files-from", "")[1], ":file")
        self.assertEqual(candidates("speak", ""), ([], ":none"))
        self.assertEqual(candidates("voices", "add", "anna", "")[1], ":file")
        self.assertIn("export", candidates("voices", "")[0])
        self.assertEqual(candidates("transcribe", "--", "--for")[0], [])
        self.assertIn("speak", candidates("help", "")[0])
        self.assertEqual(candidates("nonesuch", ""), ([], ":none"))

    def test_the_pages_are_installed(self):
        run("man", self.folder)
        listed = re.search(r"foreach name : \[(.*?)\]", (SOURCE / "src/cli/install/meson.build").read_text(), re.S).group(1)
        names = {"sonant.1"} | {f"sonant-{n}.1" for n in re.findall(r"'([\w-]+)'", listed)}
        self.assertEqual(names, {p.name for p in self.folder.iterdir()})

    @unittest.skipUnless(shutil.which("mandoc"), "no mandoc")
    def test_the_pages_are_clean(self):
        run("man", self.folder)
        for page in sorted(self.folder.iterdir()):
            done = subprocess.run(["mandoc", "-Tlint", "-Wwarning", page], capture_output=True, text=True)
            self.assertEqual(done.stdout, "", page.name)
            text = subprocess.run(["mandoc", "-Tutf8", page], capture_output=True, text=True).stdout
            self.assertIn("EXIT STATUS", re.sub(".\x08", "", text))

    def test_a_page_that_cannot_be_written(self):
        self.fails(run("man", self.folder / "none"), 8, "none")


class Shells(Case):
    """The completion as it is typed: the line is completed, made an argument of echo, and read back."""

    def setUp(self):
        super().setUp()
        self.env = {**os.environ, "PATH": f"{pathlib.Path(SONANT).parent}:{os.environ['PATH']}", "TERM": "dumb", "HOME": str(self.folder),
                    "SONANT_HOME": str(self.folder)}
        (self.folder / "a talk.wav").write_bytes(b"")
        (self.folder / "notes").mkdir()

    def type(self, shell, setup, line):
        child, terminal = pty.fork()
        if child == 0:
            os.chdir(self.folder)
            os.execvpe(shell[0], shell, self.env)
        self.addCleanup(os.waitpid, child, 0)
        self.addCleanup(os.close, terminal)
        try:
            self.wait(terminal, setup + "; echo rea''dy\n", "ready")
            for part in re.split(r"(\t)", line):
                os.write(terminal, part.encode())
                time.sleep(0.6 if part == "\t" else 0.05)
            return re.search(r"<<(.*?)>>", self.wait(terminal, "\x01echo \"<\"'<\x05>'\">\"\n", ">>")).group(1)
        finally:
            os.kill(child, 9)

    def wait(self, terminal, text, what):
        os.write(terminal, text.encode())
        got, end = "", time.monotonic() + 30
        while what not in got and time.monotonic() < end:
            if select.select([terminal], [], [], 0.2)[0]:
                got += os.read(terminal, 65536).decode(errors="replace")
        self.assertIn(what, got)
        return got

    CASES = [("sonant transc\t", "sonant transcribe"), ("sonant transcribe --skip\t", "sonant transcribe --skip-existing"),
             ("sonant transcribe --format vt\t", "sonant transcribe --format vtt"), ("sonant transcribe --format=vt\t", "sonant transcribe --format=vtt"),
             ("sonant voices exp\t", "sonant voices export"), ("sonant serve ke\t", "sonant serve keys")]

    def test_bash(self):
        for line, completed in self.CASES + [("sonant transcribe a\t", "sonant transcribe a\\ talk.wav"), ("sonant serve keys --home no\t", "sonant serve keys --home notes/")]:
            with self.subTest(line=line):
                self.assertEqual(self.type(["bash", "--norc", "-i"], "source <(sonant completion bash)", line).strip(), completed)

    @unittest.skipUnless(shutil.which("zsh"), "no zsh")
    def test_zsh(self):
        setup = "bindkey -e; autoload -U compinit; compinit -u -D; source <(sonant completion zsh)"
        for line, completed in self.CASES + [("sonant transcribe a\t", "sonant transcribe a\\ talk.wav")]:
            with self.subTest(line=line):
                self.assertEqual(self.type(["zsh", "-f", "-i"], setup, line).strip(), completed)

    @unittest.skipUnless(shutil.which("fish"), "no fish")
    def test_fish(self):
        for line, completed in self.CASES:
            with self.subTest(line=line):
                done = subprocess.run(["fish", "-N", "-c", "sonant completion fish | source; complete -C $argv[1]", line.rstrip("\t")],
                                      capture_output=True, text=True, env=self.env, cwd=self.folder, timeout=60)
                found = [row.split("\t")[0] for row in done.stdout.splitlines()]
                self.assertEqual(found, [completed.split(" ")[-1]], done.stderr)
