"""Help, mistakes, information."""
import json
import re
import subprocess

from cli import SONANT, TINY, Case, run

COMMANDS = ["transcribe", "speak", "models", "info", "bench", "version"]


class Usage(Case):
    def test_every_command_has_help_with_exit_statuses(self):
        self.assertEqual(run("--help").returncode, 0)
        for command in COMMANDS:
            done = run(command, "--help")
            self.assertEqual(done.returncode, 0, command)
            self.assertIn(b"usage: sonant " + command.encode(), done.stdout)
            self.assertRegex(done.stdout.decode(), r"(?m)^ +4  malformed or unreadable input$")
            self.assertIn(command.encode(), run("--help").stdout)

    def test_mistakes_end_with_status_2_and_say_what(self):
        for args, says in [
            ([], "usage"),
            (["sing"], "sing"),
            (["transcribe"], "FILE"),
            (["transcribe", "x.wav", "--beam"], "--beam"),
            (["transcribe", "x.wav", "--beam", "many"], "many"),
            (["transcribe", "x.wav", "--format", "docx"], "docx"),
            (["transcribe", "x.wav", "--shout"], "--shout"),
            (["transcribe", "x.wav", "--vad", "maybe"], "maybe"),
            (["speak"], "TEXT"),
            (["speak", "hello"], "-o"),
            (["speak", "hello", "you", "-o", "x.wav"], "quote"),
            (["models"], "list"),
            (["models", "list", "--threads", "-3"], "-3"),
        ]:
            with self.subTest(args=args):
                self.fails(run(*args), 2, says)

    def test_version_and_info(self):
        self.assertRegex(run("version").stdout.decode(), r"^sonant \d+\.\d+\.\d+\n$")
        info = json.loads(run("info", "--format", "json", "--threads", "3").stdout)
        self.assertEqual(info["threads"], 3)
        self.assertEqual(info["home"], json.loads(run("info", "--format", "json").stdout)["home"])

    def test_home_is_read_from_the_environment_and_need_not_exist(self):
        home = str(self.folder / "none")
        info = json.loads(run("info", "--format", "json", env={"SONANT_HOME": home}).stdout)
        self.assertEqual(info["home"], home)
        self.assertEqual(run("models", "list", env={"SONANT_HOME": home}).returncode, 0)

    def test_models_are_listed_and_described(self):
        models = json.loads(run("models", "list", "--format", "json").stdout)
        base = next(m for m in models if m["name"] == "openai/whisper-base")
        self.assertIn("base", base["aliases"].split())
        self.assertEqual((base["task"], base["architecture"], base["licence"]), ("transcribe", "whisper", "MIT"))
        info = json.loads(run("models", "info", TINY / "whisper", "--format", "json").stdout)
        self.assertEqual((info["architecture"], info["languages"]), ("whisper", ["en", "fr", "de"]))
        self.assertIn("languages", run("models", "info", TINY / "vits-sdp").stdout.decode())

    def test_unknown_and_missing_models(self):
        home = {"SONANT_HOME": str(self.folder), "HF_HUB_CACHE": str(self.folder)}
        self.fails(run("models", "info", "whisper-gigantic"), 3, "whisper-gigantic")
        self.fails(run("models", "info", "base", env=home), 3, "base")
        self.fails(run("models", "info", self.folder), 5, str(self.folder))

    def test_a_damaged_model_is_named(self):
        broken = self.folder / "broken"
        broken.mkdir()
        for file in (TINY / "whisper").iterdir():
            data = file.read_bytes()
            (broken / file.name).write_bytes(data[:len(data) // 2] if file.name == "model.safetensors" else data)
        self.fails(run("models", "info", broken, "--no-cache"), 5, "model.safetensors")

    def test_a_full_disk_is_reported(self):
        with open("/dev/full", "w") as full:
            done = subprocess.run([SONANT, "version"], stdout=full, stderr=subprocess.PIPE)
        done.errors = done.stderr.decode()
        self.fails(done, 9, "standard output")

    def test_no_output_is_mixed_into_results(self):
        done = run("info")
        self.assertEqual(done.errors, "")
        self.assertFalse(re.search(rb"[\r\x1b]", done.stdout))
