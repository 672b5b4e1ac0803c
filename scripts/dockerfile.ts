/**
 * Reads deploy/Dockerfile and does what it says in folders of this machine, for tests where no Docker engine runs: copies
 * what COPY names and runs each RUN, in a folder for each stage. Base images, users and layers are not covered.
 */
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, statSync } from 'node:fs'
import { basename, join } from 'node:path'
import process from 'node:process'

export interface Instruction {
  readonly keyword: string
  readonly text: string
}

/** The instructions in order, without comments, each on one line. */
export function parseDockerfile(text: string): Instruction[] {
  return text
    .replace(/^\s*#.*\n/gm, '')
    .replace(/\\\n\s*/g, '')
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => {
      const [, keyword = '', rest = ''] = /^([A-Z]+) (.*)$/.exec(line) ?? []
      if (keyword === '') throw new Error(`Not an instruction: ${line}`)
      return { keyword, text: rest.trim() }
    })
}

export interface Image {
  /** The folder that is its root. */
  readonly root: string
  readonly env: Readonly<Record<string, string>>
  readonly user: string
  /** Of ENTRYPOINT and CMD together. */
  readonly command: readonly string[]
  readonly healthCheck: readonly string[]
}

/** Throws where a command fails or a path does not exist. `path` is where the node and npm of the base image are. */
export function buildImage(instructions: readonly Instruction[], context: string, folder: string, path: string): Image {
  const stages = new Map<string, string>()
  let stage = createStage('')
  let from: string | undefined
  for (const { keyword, text } of instructions) {
    if (keyword === 'FROM') {
      const [, name = 'last'] = / AS (\S+)$/.exec(text) ?? []
      stage = createStage(mkdtempSync(join(folder, `${name}-`)))
      stages.set(name, stage.root)
    } else if (keyword === 'WORKDIR') stage.cwd = enter(stage.root, text)
    else if (keyword === 'COPY') {
      from = /^--from=(\S+) /.exec(text)?.[1]
      copy(from === undefined ? context : (stages.get(from) as string), text.replace(/^--from=\S+ /, ''), stage.cwd)
    } else if (keyword === 'ENV' || keyword === 'ARG') Object.assign(stage.env, parsePairs(text))
    else if (keyword === 'RUN') runCommand(text, stage.cwd, { ...stage.env, PATH: path })
    else if (keyword === 'USER') stage.user = text
    else if (keyword === 'HEALTHCHECK') stage.healthCheck = parseList(text.slice(text.indexOf('CMD ') + 4))
    else if (keyword === 'ENTRYPOINT' || keyword === 'CMD') stage.command.push(...parseList(text))
    else if (!['EXPOSE', 'VOLUME'].includes(keyword)) throw new Error(`${keyword} is not known here.`)
  }
  return stage
}

function createStage(root: string) {
  const env: Record<string, string> = {}
  const command: string[] = []
  return { root, cwd: root, env, user: 'root', command, healthCheck: [] as string[] }
}

function enter(root: string, path: string): string {
  const folder = join(root, path)
  mkdirSync(folder, { recursive: true })
  return folder
}

/** `COPY a b/ to/`: the contents of a folder, and files by their names. */
function copy(source: string, text: string, cwd: string): void {
  const paths = text.split(/\s+/)
  const to = join(cwd, paths.pop() as string)
  for (const path of paths) {
    const from = join(source, path)
    if (!existsSync(from)) throw new Error(`COPY ${path}: there is no such file.`)
    cpSync(from, statSync(from).isDirectory() ? to : join(to, basename(path)), { recursive: true })
  }
}

function runCommand(text: string, cwd: string, env: Record<string, string>): void {
  // The users of the base image are not those of this machine. What says where the registry is stays.
  const own = Object.entries(process.env).filter(
    ([name]) => !/^(npm_(?!config_registry)|NODE_ENV|NODE_OPTIONS|VITEST)/.test(name),
  )
  const { status, stdout, stderr } = spawnSync('sh', ['-ec', `chown() { :; }\n${text}`], {
    cwd,
    env: { ...Object.fromEntries(own), ...env },
    encoding: 'utf8',
  })
  if (status !== 0) throw new Error(`RUN ${text}: ${status}\n${stdout}\n${stderr}`)
}

/** `A=1 B="2 3"` */
function parsePairs(text: string): Record<string, string> {
  const pairs = text.matchAll(/(\w+)=(?:"([^"]*)"|(\S+))/g)
  return Object.fromEntries([...pairs].map(([, name = '', quoted, plain]) => [name, quoted ?? plain ?? '']))
}

function parseList(text: string): string[] {
  return JSON.parse(text) as string[]
}
