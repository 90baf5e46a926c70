# what: system calls of a whole agent's hawser-wire fail, while it serves and while it starts: call x errno x occurrence, by strace
# needs: the build packages, python3, openssl, strace; as root, or to trace its own programs
# time: 10-40 s; --long 1-2 hours (each of ten errnos at each of the first 50 calls of a name: some 10,000 cases)

need_packages $BUILD_PACKAGES python3 openssl strace || { fail "$why"; return 0; }
# Not every machine lets root trace a program that is not its child.
sleep 20 &
sleeper=$!
traced=$(timeout -s INT 2 strace -e trace=none -p $sleeper 2>&1)
kill $sleeper
case $traced in
  *" attached"*) ;;
  *) skip "all calls" "strace cannot attach here: $traced"; return 0 ;;
esac
build dev hawserd hawser-wire hawser-emu hawser || return 0
limit=400
[ "$HAWSER_LONG" = 1 ] && limit=20000
verdicts "faults" "$limit" env HAWSER_BIN="$TOP/build/dev/bin" python3 tests/faults/run.py
