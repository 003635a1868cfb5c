# Turns the text gcov writes into a Cobertura report: one class, one line per executable line.
BEGIN {
    FS = ":"
    print "<?xml version=\"1.0\" encoding=\"UTF-8\"?>"
    print "<coverage><packages><package name=\"bonjour\"><classes>"
    print "<class name=\"bonjour\" filename=\"src/bonjour.c\"><lines>"
}
{
    hits = $1
    gsub(/[ \t*]/, "", hits)
    number = $2 + 0
    if (number > 0 && hits != "-") {
        printf "<line number=\"%d\" hits=\"%d\"/>\n", number, hits + 0
    }
}
END {
    print "</lines></class></classes></package></packages></coverage>"
}
