#!/bin/sh
# A copied VM still points at home. Before the application starts, tell it where its database is
# now.
set -eu
install -d -m 0755 /etc/systemd/system/app.service.d
cat > /etc/systemd/system/app.service.d/drover.conf <<'EOF'
[Service]
Environment=DB_SECRET=orders/app
EOF
systemctl daemon-reload
systemctl restart app.service
