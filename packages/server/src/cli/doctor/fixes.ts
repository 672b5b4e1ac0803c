/** What to change, where: for proxies as lines of their configuration, for the rest in words. Tests run some of these. */
import type { FixId } from './finding.ts'

/** The proxies that fixes are written for. */
export const proxies = ['nginx', 'Caddy', 'Cloudflare'] as const
export type KnownProxy = (typeof proxies)[number]

/** `Millrace` and `you` where no proxy is at fault. */
export type Fix = Partial<Readonly<Record<KnownProxy | 'Millrace' | 'you', string>>>

const trust = 'MILLRACE_TRUSTED_PROXIES=10.0.0.0/8    # the addresses of your proxies'

export const fixes: Readonly<Record<FixId, Fix>> = {
  unreachable: {
    nginx: 'location /api/ { proxy_pass http://127.0.0.1:4600; }    # where Millrace listens',
    Caddy: 'reverse_proxy 127.0.0.1:4600',
    Cloudflare: 'DNS: point the name to your server. 52x: the server does not answer Cloudflare.',
    Millrace: 'Start it with --host 0.0.0.0 if the proxy is on another machine.',
  },
  not_millrace: {
    nginx: 'location /api/ { proxy_pass http://127.0.0.1:4600; }    # no path after the port',
    Caddy: 'reverse_proxy /api/* 127.0.0.1:4600',
    Cloudflare: 'Check that no Worker, Access policy or challenge answers /api/ and /ws/.',
  },
  host_not_allowed: {
    Millrace: 'millrace start --host-name app.example.com    # or MILLRACE_HOST_NAMES',
    nginx: 'proxy_set_header Host $host;',
  },
  certificate: {
    nginx: 'ssl_certificate /etc/letsencrypt/live/app.example.com/fullchain.pem;    # with the intermediate certificates',
    Caddy: 'app.example.com { reverse_proxy 127.0.0.1:4600 }    # Caddy gets certificates by itself',
    Cloudflare: 'SSL/TLS > Overview: Full (strict)',
    you: 'For an authority of your own: NODE_EXTRA_CA_CERTS=ca.pem millrace doctor …',
  },
  tls_missing: {
    nginx: 'listen 443 ssl http2;  ssl_certificate …;  ssl_certificate_key …;',
    Caddy: 'app.example.com { reverse_proxy 127.0.0.1:4600 }    # a name instead of :80',
    Cloudflare: 'SSL/TLS > Edge Certificates: Always Use HTTPS',
  },
  http1: {
    nginx: 'listen 443 ssl http2;    # since 1.25.1: http2 on;',
    Caddy: 'On by default over TLS: remove "protocols h1" from the global option servers.',
    Cloudflare: 'Speed > Settings > Protocol Optimization: HTTP/2',
  },
  buffering: {
    nginx: 'proxy_buffering off;    # and remove proxy_ignore_headers X-Accel-Buffering',
    Caddy: 'Remove buffer_responses and response_buffers from reverse_proxy.',
    Cloudflare: 'Rules > Configuration: Response Buffering off. In a Worker: return response.body, do not read it.',
  },
  compression: {
    nginx: 'gzip off;  brotli off;    # in the location of /api/',
    Caddy: '@page not path /api/*\nencode @page gzip zstd',
    Cloudflare: 'Rules > Compression: for /api/*, Disable compression',
  },
  idle_timeout: {
    nginx: 'proxy_read_timeout 60s;    # also in the location of /ws/; longer than the heartbeat',
    Caddy: 'reverse_proxy 127.0.0.1:4600 {\n  transport http { read_timeout 0 }\n}',
    Cloudflare: 'Cloudflare waits 100 s: look for a load balancer or proxy behind it.',
    Millrace: 'createMillrace({ heartbeatMs: 5000 })    # if you cannot change the proxy',
  },
  websocket_blocked: {
    nginx:
      'location /ws/ {\n  proxy_pass http://127.0.0.1:4600;\n  proxy_http_version 1.1;\n  proxy_set_header Upgrade $http_upgrade;\n  proxy_set_header Connection upgrade;\n}',
    Caddy: 'reverse_proxy /ws/* 127.0.0.1:4600    # without header_up -Upgrade or -Connection',
    Cloudflare: 'Network > WebSockets: on',
  },
  last_event_id_stripped: {
    nginx: 'Remove proxy_set_header Last-Event-ID and proxy_pass_request_headers off.',
    Caddy: 'Remove header_up -Last-Event-ID.',
    Cloudflare: 'Rules > Transform Rules: remove the rule that removes Last-Event-ID.',
  },
  authorization_stripped: {
    nginx: 'proxy_set_header Authorization $http_authorization;    # auth_basic and Millrace cannot both use it',
    Caddy: 'Remove header_up -Authorization.',
    Cloudflare: 'Rules > Transform Rules: remove the rule that removes Authorization.',
  },
  address_hidden: {
    nginx: 'proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;',
    Caddy: 'Caddy sends it: remove header_up -X-Forwarded-For.',
    Cloudflare: 'Cloudflare sends it: trust its networks too, https://www.cloudflare.com/ips/',
    Millrace: trust,
  },
  scheme_hidden: {
    nginx: 'proxy_set_header X-Forwarded-Proto $scheme;',
    Caddy: 'Caddy sends it: remove header_up -X-Forwarded-Proto.',
    Cloudflare: 'Cloudflare sends it: let the proxy behind it pass X-Forwarded-Proto on.',
    Millrace: trust,
  },
  clock_skew: { you: 'timedatectl set-ntp true    # on the machine whose clock is wrong' },
  origin_rejected: {
    Millrace: 'MILLRACE_ORIGINS=https://app.example.com    # scheme, name and port, without a path',
    nginx: 'proxy_set_header Host $http_host;    # and no rule of its own for OPTIONS',
  },
  origin_open: {
    nginx: 'Remove add_header Access-Control-Allow-Origin: Millrace sends it to the origins that you list.',
    Caddy: 'Remove header Access-Control-Allow-Origin.',
    Cloudflare: 'Rules > Transform Rules: remove the rule that sets Access-Control-Allow-Origin.',
    Millrace: 'MILLRACE_ORIGINS=https://app.example.com',
  },
  open_to_everybody: { Millrace: 'MILLRACE_JWT_SECRET=…, MILLRACE_JWT_PUBLIC_KEY=… or MILLRACE_JWKS_URL=…' },
  metrics_public: {
    nginx: 'Pass only / , /api/ and /ws/ on, or: location /metrics { return 404; }',
    Caddy: 'respond /metrics 404',
    Cloudflare: 'Security > WAF: block the path /metrics',
  },
  token_rejected: {
    you: 'Compare the iss and aud of the token with MILLRACE_JWT_ISSUER and _AUDIENCE, and its key with the configured one.',
  },
  token_expired: { you: 'Get another token. In the client, token({ reason }) is called when one is needed.' },
  token_lifetime: { you: 'Give pages tokens that expire within an hour; the client renews them while it is connected.' },
  token_too_broad: { you: 'Give pages only what they need, such as "may": ["session.*", "run.*"]. Keep keys on servers.' },
}
