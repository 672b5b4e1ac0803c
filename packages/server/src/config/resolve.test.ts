/** Where a setting's value comes from, and what a configuration that cannot be used is rejected with. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { resolveOptions } from '../options.ts'
import { type ResolvedConfig, resolveConfig } from './resolve.ts'

const root = mkdtempSync(join(tmpdir(), 'millrace-'))
afterAll(() => rmSync(root, { recursive: true }))
let folders = 0

/** A folder of its own, because Node keeps the modules that it has loaded. */
function folderWith(files: Record<string, string>): string {
  const folder = join(root, String(folders++))
  mkdirSync(folder)
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
  return folder
}

const resolve = (files: Record<string, string>, env = {}, flags = {}) => resolveConfig({ flags, env, folder: folderWith(files) })

function originOf({ effective }: ResolvedConfig, key: string) {
  const { value, source, from } = effective.find(({ setting }) => setting.key === key) ?? {}
  return [value, source, from]
}

describe('a setting', () => {
  const file = { 'millrace.config.json': '{"port":3}' }

  it('is taken from a flag before the environment before the file before its default', async () => {
    expect(originOf(await resolve(file, { PORT: '2' }, { port: '1' }), 'port')).toEqual([1, 'flag', '--port'])
    expect(originOf(await resolve(file, { PORT: '2' }), 'port')).toEqual([2, 'environment', 'PORT'])
    expect(originOf(await resolve(file), 'port')).toEqual([3, 'file', 'millrace.config.json'])
    expect(originOf(await resolve({}), 'port')).toEqual([4600, 'default', undefined])
  })

  it('has the default of createMillrace where both have one', async () => {
    const { config } = await resolve({})
    const { heartbeatMs, access, limits } = resolveOptions({})
    expect(config).toMatchObject({ heartbeatMs, access: { tokenLifetimeMs: access.tokenLifetimeMs } })
    expect(limits).toMatchObject(config.limits ?? {})
  })

  it('that is a list is one value, whatever it is from', async () => {
    const { config } = await resolve(
      { 'millrace.config.json': '{"access":{"origins":["https://c.example"]}}' },
      {},
      {
        origin: ['https://a.example, https://b.example', 'https://d.example'],
      },
    )
    expect(config.access?.origins).toEqual(['https://a.example', 'https://b.example', 'https://d.example'])
  })
})

describe('the configuration file', () => {
  it.each(['ts', 'mts', 'js', 'mjs'])('is code in .%s, with functions', async (extension) => {
    const type = extension.endsWith('ts') ? ': string' : ''
    const code = `const name${type} = 'sim:echo'\nexport default { model: name, authorize() {}, limits: { runsPerNode: 5 } }`
    const { config } = await resolve({ [`millrace.config.${extension}`]: code })
    expect(config).toMatchObject({ model: 'sim:echo', limits: { runsPerNode: 5 }, authorize: expect.any(Function) })
  })

  it('is the one that --config or MILLRACE_CONFIG names', async () => {
    const files = { 'millrace.config.json': '{"port":1}', 'other.json': '{"port":2}' }
    expect((await resolve(files, {}, { config: 'other.json' })).config.port).toBe(2)
    expect((await resolve(files, { MILLRACE_CONFIG: 'other.json' })).config.port).toBe(2)
  })

  it.each([
    ['{"prot":1}', 'There is no setting "prot", as in millrace.config.json. Did you mean "port"?'],
    ['{"access":{"orgins":[]}}', 'There is no setting "access.orgins", as in millrace.config.json. Did you mean "origins"?'],
    ['{"elephant":1}', 'There is no setting "elephant", as in millrace.config.json.'],
    ['{"port":"80"}', 'port in millrace.config.json takes a number from 0 to 65535, not "80".'],
    ['{"port":1.5}', 'port in millrace.config.json takes a number from 0 to 65535, not 1.5.'],
    ['{"authorize":1}', 'authorize in millrace.config.json takes a function, not 1.'],
    ['{"access":{"adminKey":["hidden"]}}', /^access\.adminKey in millrace\.config\.json takes at least 16 characters\.$/],
    ['{"access":1}', 'access in millrace.config.json'],
    ['[]', 'The default export in millrace.config.json'],
    ['{', 'millrace.config.json cannot be loaded'],
  ])('%s is rejected with a sentence', async (text, sentence) => {
    await expect(resolve({ 'millrace.config.json': text })).rejects.toThrow(sentence)
  })

  it.each([
    ['export default { jwt: { secret: process.env.NOT_SET } }', 'jwt.secret in millrace.config.ts is undefined; set it'],
    ['export const port = 1', 'millrace.config.ts exports nothing; write: export default defineConfig({ … }).'],
    ["throw new Error('mistake')", 'millrace.config.ts cannot be loaded: mistake'],
  ])('%s is rejected with a sentence', async (text, sentence) => {
    await expect(resolve({ 'millrace.config.ts': text })).rejects.toThrow(sentence)
  })

  it('is rejected where there are two, where the named one is missing, and where it has an unknown ending', async () => {
    const two = { 'millrace.config.ts': 'export default {}', 'millrace.config.json': '{}' }
    await expect(resolve(two)).rejects.toThrow('There are millrace.config.ts and millrace.config.json; keep one')
    await expect(resolve({}, {}, { config: 'absent.json' })).rejects.toThrow(
      /^There is no file .*absent\.json; correct --config or MILLRACE_CONFIG\.$/,
    )
    await expect(resolve({}, {}, { config: 'settings.yaml' })).rejects.toThrow(
      'settings.yaml is not .ts, .mts, .js, .mjs or .json.',
    )
  })
})

describe('the environment', () => {
  it.each([
    [{ MILLRACE_ORIGIN: 'x' }, 'There is no variable MILLRACE_ORIGIN. Did you mean "MILLRACE_ORIGINS"?'],
    [{ MILLRACE_JWT_SECRET_FIL: 'x' }, 'Did you mean "MILLRACE_JWT_SECRET_FILE"?'],
    [{ MILLRACE_MODEL: ' ' }, 'MILLRACE_MODEL is empty; set it, or remove it.'],
    [{ MILLRACE_OPEN: 'maybe' }, 'MILLRACE_OPEN takes true or false, as 1 or 0, not "maybe".'],
    [{ MILLRACE_TOKEN_LIFETIME_MS: '0' }, 'MILLRACE_TOKEN_LIFETIME_MS takes milliseconds from 1 to'],
  ])('%o is rejected with a sentence', async (env, sentence) => {
    await expect(resolve({}, env)).rejects.toThrow(sentence)
  })

  it('is read without case, and leaves the variables of Kubernetes and of others alone', async () => {
    const ofOthers = { MILLRACE_REDIS_SERVICE_PORT_TCP: '6379', MILLRACE_PORT: 'tcp://10.0.0.1:80', PATH: '/bin' }
    const { config } = await resolve({}, { MILLRACE_OPEN: 'TRUE', MILLRACE_TOKEN_LIFETIME_MS: '60000', ...ofOthers })
    expect(config).toMatchObject({ open: true, access: { tokenLifetimeMs: 60_000 } })
  })
})
