#!/usr/bin/env python3
"""Full-size checkpoints with random weights, in the published layout, for measuring speed and memory where the real ones cannot be had.

usage: full_size.py NAME... --out DIR       without a name: lists them
Shapes, file names and types are those of the published models; what comes out is noise, so lengths are forced when measuring.
Needs torch, and the package that each model's reference is in: transformers, tacotron2-model, waveglow, coqui-tts."""
import argparse, json, os, shutil, sys

TINY = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "fixtures", "tiny")


def write_json(path, value):
    with open(path, "w", encoding="utf-8") as f:
        json.dump(value, f)


def copy(fixture, out, *names):
    for name in names:
        shutil.copy(os.path.join(TINY, fixture, name), os.path.join(out, name))


# ---- Hugging Face ----

def pretrained(make):
    def build(out):
        make().eval().save_pretrained(out)
    return build


def wav2vec2_base():
    import transformers as T
    return T.Wav2Vec2ForCTC(T.Wav2Vec2Config())


def wav2vec2_large():
    import transformers as T
    return T.Wav2Vec2ForCTC(T.Wav2Vec2Config(hidden_size=1024, num_hidden_layers=24, num_attention_heads=16, intermediate_size=4096,
                                            do_stable_layer_norm=True, feat_extract_norm="layer", conv_bias=True))


def wav2vec2(make, fixture):
    def build(out):
        pretrained(make)(out)
        copy(fixture, out, "preprocessor_config.json", "tokenizer_config.json", "vocab.json", "special_tokens_map.json")
    return build


def speecht5(out):
    import transformers as T
    T.SpeechT5ForTextToSpeech(T.SpeechT5Config(vocab_size=81, speaker_embedding_dim=512, reduction_factor=2)).eval().save_pretrained(out)
    copy("speecht5", out, "spm_char.model", "added_tokens.json", "tokenizer_config.json", "special_tokens_map.json")


def speecht5_hifigan():
    import transformers as T
    return T.SpeechT5HifiGan(T.SpeechT5HifiGanConfig())


def fastspeech2(out):
    import transformers as T
    T.FastSpeech2ConformerModel(T.FastSpeech2ConformerConfig()).eval().save_pretrained(out)
    copy("fastspeech2-conformer", out, "tokenizer_config.json", "special_tokens_map.json")
    with open(os.path.join(TINY, "fastspeech2-conformer", "vocab.json"), encoding="utf-8") as f:
        vocab = json.load(f)
    write_json(os.path.join(out, "vocab.json"), vocab | {f"<{i}>": i for i in range(len(vocab), 78)})


def fastspeech2_hifigan():
    import transformers as T
    return T.FastSpeech2ConformerHifiGan(T.FastSpeech2ConformerHifiGanConfig())


def vits(out):
    import transformers as T
    T.VitsModel(T.VitsConfig()).eval().save_pretrained(out)
    copy("vits-sdp", out, "tokenizer_config.json", "special_tokens_map.json", "vocab.json")


def bark_small(out):
    import transformers as T
    part = dict(num_layers=12, num_heads=12, hidden_size=768)
    config = T.BarkConfig(semantic_config=dict(input_vocab_size=129600, output_vocab_size=10048, **part),
                          coarse_acoustics_config=dict(input_vocab_size=12096, output_vocab_size=12096, **part),
                          fine_acoustics_config=dict(input_vocab_size=1056, output_vocab_size=1056, **part))
    model = T.BarkModel(config).eval()
    model.save_pretrained(out)
    generation = T.models.bark.generation_configuration_bark
    write_json(os.path.join(out, "generation_config.json"), generation.BarkGenerationConfig.from_sub_model_configs(
        generation.BarkSemanticGenerationConfig(), generation.BarkCoarseGenerationConfig(), generation.BarkFineGenerationConfig()).to_dict())
    copy("bark", out, "tokenizer_config.json", "special_tokens_map.json", "vocab.txt")


# ---- NVIDIA ----

def tacotron2(out):
    import torch
    from tacotron2_model import Tacotron2
    torch.save({"state_dict": Tacotron2().state_dict()}, os.path.join(out, "tacotron2_statedict.pt"))


def waveglow(out):
    import torch
    from waveglow.glow import WaveGlow
    torch.qr = torch.linalg.qr  # the reference calls the name that torch has dropped
    config = dict(n_mel_channels=80, n_flows=12, n_group=8, n_early_every=4, n_early_size=2,
                  WN_config=dict(n_layers=8, n_channels=256, kernel_size=3))
    model = WaveGlow(**config)
    for wn in model.WN:  # the last layer begins as zeros, which would leave it out
        torch.nn.init.normal_(wn.end.weight, std=0.01)
    torch.save({"config": config, "state_dict": model.state_dict()}, os.path.join(out, "waveglow_statedict.pt"))
    write_json(os.path.join(out, "config.json"), {"waveglow_config": config})


# ---- Coqui and jik876 ----

AUDIO = dict(sample_rate=22050, num_mels=80, fft_size=1024, hop_length=256, win_length=1024, mel_fmin=0.0, mel_fmax=8000.0, log_func="np.log",
             spec_gain=1.0, signal_norm=False, preemphasis=0.0, do_amp_to_db_mel=True)
HIFIGAN = dict(in_channels=80, out_channels=1, resblock_type="1", resblock_dilation_sizes=[[1, 3, 5]] * 3, resblock_kernel_sizes=[3, 7, 11],
               upsample_kernel_sizes=[16, 16, 4, 4], upsample_initial_channel=512, upsample_factors=[8, 8, 2, 2])


def hifigan_coqui(out):
    import torch
    from TTS.vocoder.models.hifigan_generator import HifiganGenerator
    torch.save({"model": HifiganGenerator(**HIFIGAN).state_dict()}, os.path.join(out, "model_file.pth"))
    write_json(os.path.join(out, "config.json"), {"model": "gan", "generator_model": "hifigan_generator", "generator_model_params": HIFIGAN, "audio": AUDIO})


def hifigan_jik876(out):
    import torch
    from TTS.vocoder.models.hifigan_generator import HifiganGenerator
    p = {k: v for k, v in HIFIGAN.items()}
    torch.save({"generator": HifiganGenerator(**p).state_dict()}, os.path.join(out, "generator_v1"), _use_new_zipfile_serialization=False)
    write_json(os.path.join(out, "config.json"), dict(
        resblock="1", upsample_rates=p["upsample_factors"], upsample_kernel_sizes=p["upsample_kernel_sizes"],
        upsample_initial_channel=512, resblock_kernel_sizes=p["resblock_kernel_sizes"], resblock_dilation_sizes=p["resblock_dilation_sizes"],
        num_mels=80, n_fft=1024, hop_size=256, win_size=1024, sampling_rate=22050, fmin=0, fmax=8000))


def melgan_coqui(out):
    import torch
    from TTS.vocoder.models.melgan_generator import MelganGenerator
    p = dict(in_channels=80, out_channels=1, proj_kernel=7, base_channels=512, upsample_factors=[8, 8, 2, 2], res_kernel=3, num_res_blocks=3)
    torch.save({"model": MelganGenerator(**p).state_dict()}, os.path.join(out, "model_file.pth"))
    write_json(os.path.join(out, "config.json"), {"model": "gan", "generator_model": "melgan_generator", "audio": AUDIO,
                                                  "generator_model_params": {k: p[k] for k in ("upsample_factors", "num_res_blocks")}})


MODELS = {
    "wav2vec2-base-960h": wav2vec2(wav2vec2_base, "wav2vec2-base"),
    "wav2vec2-large-960h-lv60": wav2vec2(wav2vec2_large, "wav2vec2-large"),
    "speecht5_tts": speecht5,
    "speecht5_hifigan": pretrained(speecht5_hifigan),
    "fastspeech2_conformer": fastspeech2,
    "fastspeech2_conformer_hifigan": pretrained(fastspeech2_hifigan),
    "vits-ljs": vits,
    "bark-small": bark_small,
    "tacotron2": tacotron2,
    "waveglow": waveglow,
    "tacotron2-hifigan": hifigan_jik876,  # beside Tacotron2 under that name it is its vocoder
    "hifigan-coqui": hifigan_coqui,
    "hifigan-jik876": hifigan_jik876,
    "melgan-coqui": melgan_coqui,
}


def make(name, out):
    """The directory of the checkpoint, made when it is not there."""
    import torch
    directory = os.path.join(out, name)
    if os.path.isdir(directory):
        return directory
    torch.manual_seed(0)
    part = directory + ".part"
    shutil.rmtree(part, ignore_errors=True)
    os.makedirs(part)
    MODELS[name](part)
    os.rename(part, directory)
    return directory


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", nargs="*")
    parser.add_argument("--out", default="full-size")
    args = parser.parse_args()
    unknown = [n for n in args.name if n not in MODELS]
    if unknown or not args.name:
        sys.exit(f"{'unknown: ' + ' '.join(unknown) if unknown else __doc__}\nnames: {' '.join(MODELS)}")
    for name in args.name:
        print(make(name, args.out))


if __name__ == "__main__":
    main()
