# shellcheck shell=bash disable=SC2154,SC2034
# The disabled rules see one file; variables cross files here. The rendered whole is checked without them.
#
# JSON, read whole or not at all: `json_leaves REGEX` reads one JSON text, an object or an array, from stdin
# and prints 'path TAB type TAB value' for each leaf whose path matches, then a line with a dot.
# It prints nothing unless the whole text is valid: half a parse could show a piece of a secret as a name.
# Paths are JSON pointers; types are s n b z, and { or [ for an empty container. In values and paths a control
# character or backslash is written as bash's printf %b reads it; U+0000 and lone surrogates become U+FFFD.
#
# A record ends at each quote, so records alternate between what is outside and what is inside a string:
# linear in mawk, gawk and busybox alike.
# shellcheck disable=SC2016 # it is awk's text
json_awk='
function refuse() { bad = 1; exit 1 }
function utf8(n) {
  if (n == 0 || (n >= 55296 && n <= 57343)) n = 65533
  if (n < 128) return sprintf("%c", n)
  if (n < 2048) return sprintf("%c%c", 192 + int(n / 64), 128 + n % 64)
  if (n < 65536) return sprintf("%c%c%c", 224 + int(n / 4096), 128 + int(n / 64) % 64, 128 + n % 64)
  return sprintf("%c%c%c%c", 240 + int(n / 262144), 128 + int(n / 4096) % 64, 128 + int(n / 64) % 64, 128 + n % 64)
}
function hex4(h,   i, n) {
  if (h !~ /^[0-9A-Fa-f][0-9A-Fa-f][0-9A-Fa-f][0-9A-Fa-f]$/) refuse()
  n = 0
  h = tolower(h)
  for (i = 1; i <= 4; i++) n = n * 16 + index("0123456789abcdef", substr(h, i, 1)) - 1
  return n
}
function decoded(s,   out, i, c, n, low) {
  if (s ~ /[\001-\037]/) refuse()
  out = ""
  while ((i = index(s, "\\")) > 0) {
    out = out substr(s, 1, i - 1)
    c = substr(s, i + 1, 1)
    s = substr(s, i + 2)
    if (c == "u") {
      n = hex4(substr(s, 1, 4))
      s = substr(s, 5)
      if (n >= 55296 && n <= 56319 && s ~ /^\\u[dD][c-fC-F]/) {
        low = hex4(substr(s, 3, 4))
        s = substr(s, 7)
        n = 65536 + (n - 55296) * 1024 + low - 56320
      }
      out = out utf8(n)
    }
    else if (c == "\"" || c == "\\" || c == "/") out = out c
    else if (c != "" && (n = index("bfnrt", c)) > 0) out = out substr("\b\f\n\r\t", n, 1)
    else refuse()
  }
  return out s
}
function shown(s,   out, i, c, size) {
  if (s !~ /[\001-\037\\\177]/) return s
  out = ""
  size = length(s)
  for (i = 1; i <= size; i++) {
    c = substr(s, i, 1)
    if (c == "\\") out = out "\\\\"
    else if (c ~ /[\001-\037\177]/) out = out sprintf("\\x%02x", index(controls, c))
    else out = out c
  }
  return out
}
function here(   name) {
  if (depth == 0) return ""
  if (kind[depth] == "[") return prefix[depth] "/" (count[depth] - 1)
  return prefix[depth] "/" name_of[depth]
}
function leaf(type, value, token,   path) {
  path = here()
  if (path ~ want_path) line[++lines] = path "\t" type "\t" (whole ? token : shown(value))
}
function starts_value() {
  if (want != "v" && want != "v]") refuse()
  if (depth > 0 && kind[depth] == "[") count[depth]++
}
function ends_value() { want = depth > 0 ? "," : "end" }
function open(c,   path) {
  starts_value()
  path = here()
  if (++depth > 200) refuse()
  kind[depth] = c
  count[depth] = 0
  prefix[depth] = path
  from[depth] = length(raw) + 1
  want = c == "{" ? "k}" : "v]"
}
function close_(c) {
  if (depth == 0 || kind[depth] != (c == "}" ? "{" : "[")) refuse()
  if (want != "," && want != (c == "}" ? "k}" : "v]")) refuse()
  depth--
  if (whole || want != ",") leaf(kind[depth + 1], "", substr(raw, from[depth + 1]) c)
  ends_value()
}
function scalar(type, value, token) {
  starts_value()
  if (depth == 0) refuse()
  leaf(type, value, token)
  ends_value()
}
function keep(token) { if (whole) raw = raw token }
function text(s,   name, token) {
  token = "\"" s "\""
  keep(token)
  s = decoded(s)
  if (want == "k" || want == "k}") {
    name = shown(s)
    gsub(/~/, "~0", name)
    gsub(/\//, "~1", name)
    name_of[depth] = name
    want = ":"
    return
  }
  scalar("s", s, token)
}
BEGIN {
  RS = "\""
  want = "v"
  for (n = 1; n < 32; n++) controls = controls sprintf("%c", n)
  while (length(controls) < 126) controls = controls " "
  controls = controls sprintf("%c", 127)
}
inside {
  fresh = 0
  body = body $0
  if (match($0, /\\+$/) && RLENGTH % 2) { body = body "\""; next }
  text(body)
  inside = 0
  next
}
{
  rest = $0
  while (rest != "") {
    token = c = substr(rest, 1, 1)
    if (c == " " || c == "\t" || c == "\r" || c == "\n") { match(rest, /^[ \t\r\n]+/); rest = substr(rest, RLENGTH + 1); continue }
    if (c == "{" || c == "[") open(c)
    else if (c == "}" || c == "]") close_(c)
    else if (c == ":") { if (want != ":") refuse(); want = "v" }
    else if (c == ",") { if (want != ",") refuse(); want = kind[depth] == "{" ? "k" : "v" }
    else if (match(rest, /^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?/)) {
      scalar("n", token = substr(rest, 1, RLENGTH), token)
      rest = substr(rest, RLENGTH)
    }
    else if (match(rest, /^(true|false|null)/)) {
      scalar(c == "n" ? "z" : "b", token = substr(rest, 1, RLENGTH), token)
      rest = substr(rest, RLENGTH)
    }
    else refuse()
    keep(token)
    rest = substr(rest, 2)
  }
  inside = 1
  fresh = 1
  body = ""
}
END {
  if (bad || want != "end" || !fresh) exit 1
  for (n = 1; n <= lines; n++) print line[n]
  print "."
}'

json_leaves() { # an extended regular expression for the paths; the text on stdin must end with a new line
  awk -v want_path="$1" "$json_awk"
}

json_pieces() { # the same for whole values, objects and arrays too: each one's own JSON text, but for blanks
  awk -v whole=1 -v want_path="$1" "$json_awk"
}
