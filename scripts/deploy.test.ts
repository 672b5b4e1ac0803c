/** deploy/: what cannot run here, because there is no Docker engine, no systemd and no Kubernetes, is done by hand or read. */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import process from 'node:process'
import { createInterface } from 'node:readline'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { buildImage, type Image, parseDockerfile } from './dockerfile.ts'
import { root } from './install.mjs'
import { listFiles } from './repository.ts'

const read = (file: string) => readFileSync(join(root, file), 'utf8')
const instructions = parseDockerfile(read('deploy/Dockerfile'))
const textsOf = (keyword: string) => instructions.filter((each) => each.keyword === keyword).map(({ text }) => text)

describe('the image of deploy/Dockerfile', () => {
  let folder: string
  let image: Image
  // npm of the machine, and the Node of the base image.
  const path = `${dirname(process.execPath)}:${process.env['PATH']}`

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'millrace-image-'))
    const context = join(folder, 'context')
    for (const file of listFiles()) cpSync(join(root, file), join(context, file))
    image = buildImage(instructions, context, folder, path)
  }, 300_000)
  // A whole installation.
  afterAll(() => rmSync(folder, { recursive: true, force: true }), 300_000)

  /** With the paths of the folder that stands for the image. */
  const here = (command: readonly string[]) => command.map((part) => part.replace(/^\/app\//, `${image.root}/app/`))
  const env = (more: Record<string, string>) => ({
    ...image.env,
    PATH: path,
    HOST: '127.0.0.1',
    MILLRACE_DATA: join(image.root, 'app/data'),
    ...more,
  })

  it('refuses to start for everybody, and says what to set', () => {
    const [command = '', ...args] = here(image.command)
    const { status, stderr } = spawnSync(command, args, { env: env({ HOST: '0.0.0.0', PORT: '0' }), encoding: 'utf8' })
    expect([status, stderr]).toEqual([2, expect.stringContaining('MILLRACE_JWT_SECRET')])
  })

  it('starts, installed from the tarballs alone, with the page and the documents of the guide', async () => {
    const [command = '', ...args] = here(image.command)
    const child = spawn(command, args, {
      env: env({ PORT: '0', MILLRACE_MODEL: 'builtin:guide' }),
      cwd: join(image.root, 'app'),
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    try {
      const url = await readUrl(child.stdout)
      const page = await (await fetch(`${url}/`)).text()
      const [, script = ''] = /src="([^"]+\.js)"/.exec(page) ?? []
      expect((await fetch(new URL(script, url))).headers.get('content-type')).toMatch('javascript')
      expect(await (await fetch(`${url}/api/chat?query=What+is+Millrace`)).text()).toContain('README.md')
      expect(existsSync(join(image.root, 'app/data/millrace.db'))).toBe(true)
      const [check = '', ...checkArgs] = image.healthCheck
      const healthOf = (port: string) => spawnSync(check, checkArgs, { env: env({ PORT: port }) }).status
      expect([healthOf(new URL(url).port), healthOf('1')]).toEqual([0, 1])
      const doctor = spawnSync('npx', ['millrace', 'doctor', '--help'], {
        cwd: join(image.root, 'app'),
        env: env({}),
        encoding: 'utf8',
      })
      expect([doctor.status, doctor.stdout]).toEqual([0, expect.stringContaining('millrace doctor <url>')])
    } finally {
      child.kill()
      await once(child, 'exit')
    }
    expect(child.exitCode).toBe(0)
  }, 60_000)

  it('has the packages that the engines and models need, and nothing of development', () => {
    const modules = join(image.root, 'app/node_modules')
    for (const name of ['@redis/client', '@nats-io/jetstream', 'langchain', '@langchain/openai'])
      expect(existsSync(join(modules, name))).toBe(true)
    for (const name of ['vitest', 'vite', 'typescript', 'react']) expect(existsSync(join(modules, name))).toBe(false)
  })

  it('runs as a user without rights, who owns the folder for the data only', () => {
    expect(image.user).toBe('node')
    expect(textsOf('VOLUME')).toEqual(['/app/data'])
    expect(textsOf('RUN').at(-1)).toBe('mkdir data && chown node:node data')
  })
})

it('the Dockerfile copies the manifest of every workspace, and names the versions that the tests use', () => {
  const manifests = listFiles('*/package.json', '*/*/package.json')
  expect(
    textsOf('COPY')
      .join('\n')
      .match(/\S+\/package\.json/g)
      ?.sort(),
  ).toEqual(manifests.sort())
  const { devDependencies } = JSON.parse(read('packages/server/package.json')) as { devDependencies: Record<string, string> }
  const packages =
    textsOf('ARG')
      .join(' ')
      .match(/[@\w/-]+@[\d.]+/g) ?? []
  expect(packages.length).toBeGreaterThan(3)
  for (const named of packages) {
    const at = named.lastIndexOf('@')
    expect([named, devDependencies[named.slice(0, at)]]).toEqual([named, named.slice(at + 1)])
  }
})

async function readUrl(output: NodeJS.ReadableStream): Promise<string> {
  for await (const line of createInterface(output)) {
    const [, url] = /^ *API +(http.*)\/api\//.exec(line) ?? []
    if (url !== undefined) return url
  }
  throw new Error('It ended before it was ready.')
}
