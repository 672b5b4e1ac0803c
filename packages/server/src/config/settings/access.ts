import { z } from 'zod'
import type { Setting } from '../setting.ts'
import { code, isObject, list, milliseconds, onOff, structure, text } from '../setting-types.ts'

export const accessSettings = [
  {
    key: 'jwt.secret',
    type: text('at least 32 bytes'),
    env: 'MILLRACE_JWT_SECRET',
    isSecret: true,
    help: 'secret of HS256 tokens, at least 32 bytes; turns authentication on',
  },
  {
    key: 'jwt.publicKey',
    type: text('a key in PEM'),
    env: 'MILLRACE_JWT_PUBLIC_KEY',
    isSecret: true,
    help: 'Ed25519, P-256 or RSA key of tokens in PEM; turns authentication on',
  },
  {
    key: 'jwt.jwksUrl',
    type: text('an address or a path'),
    env: 'MILLRACE_JWKS_URL',
    help: '`https:` address or path of a JSON Web Key Set; turns authentication on',
  },
  { key: 'jwt.issuer', type: text('the iss of tokens'), env: 'MILLRACE_JWT_ISSUER', help: 'the `iss` that tokens must have' },
  { key: 'jwt.audience', type: text('the aud of tokens'), env: 'MILLRACE_JWT_AUDIENCE', help: 'the `aud` that tokens must have' },
  {
    key: 'access.tokens',
    type: structure('an issuer of tokens, or several', z.custom(isObject)),
    isSecret: true,
    help: 'further issuers of tokens',
  },
  {
    key: 'access.tokenLifetimeMs',
    type: milliseconds(),
    env: 'MILLRACE_TOKEN_LIFETIME_MS',
    default: 30 * 24 * 60 * 60_000,
    help: 'the longest lifetime of your tokens; for this time revocations are remembered',
  },
  {
    key: 'access.adminKey',
    type: text('at least 16 characters'),
    env: 'MILLRACE_ADMIN_KEY',
    isSecret: true,
    help: 'an API key that may do everything, at least 16 random characters',
  },
  {
    key: 'access.allowAnonymous',
    type: onOff,
    env: 'MILLRACE_ALLOW_ANONYMOUS',
    help: 'whether requests without credentials are let in; default only without authentication',
  },
  {
    key: 'access.origins',
    type: list('origins', '<origin>'),
    env: 'MILLRACE_ORIGINS',
    flag: 'origin',
    help: 'the only pages of other origins that may use the server, such as `https://app.example.com`',
  },
  {
    key: 'access.trustedProxies',
    type: list('addresses or networks', '<network>'),
    env: 'MILLRACE_TRUSTED_PROXIES',
    flag: 'trusted-proxy',
    help: 'proxies whose `X-Forwarded-For` is believed, such as `10.0.0.0/8`',
  },
  {
    key: 'privateHosts',
    type: list('host names', '<name>'),
    env: 'MILLRACE_PRIVATE_HOSTS',
    flag: 'private-host',
    help: 'names of key sets and webhooks at private addresses, such as `sso.example.com`',
  },
  { key: 'authenticate', type: code, help: 'your own login' },
  { key: 'authorize', type: code, help: 'who may do what, where permissions cannot say it' },
  {
    key: 'channels',
    type: structure('who may read and publish, by names of channels', z.custom(isObject)),
    help: 'rules of channels: `{ "room:*": { "read": "users", "publish": "users" } }`; default none',
  },
] as const satisfies readonly Setting[]
