#!/bin/sh
# Speech to text and text to speech with real models: what `make demo` shows.
set -eu
cd "$(dirname "$0")/.."
clip=tests/audio/jfk.wav
sentence="Every word you hear was computed by this machine, from a published voice."

text=$(build/sonant transcribe "$clip")
facts=$(build/sonant speak "$sentence" -o demo.wav --format text)
[ -n "$text" ] && [ -s demo.wav ]

echo
echo "heard in $clip:"
echo "  $text"
echo "spoken into $facts:"
echo "  $sentence"
