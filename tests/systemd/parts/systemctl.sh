#!/bin/sh
# The real systemctl; the test wants to know what it was asked.
echo "$*" >>/run/systemctl.log
exec /usr/bin/systemctl "$@"
