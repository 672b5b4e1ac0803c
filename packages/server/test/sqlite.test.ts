/** What only an engine on a disk promises: it survives its process, and says so when it cannot. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Engine, sqliteEngine } from 'millrace'
import { describe, expect, it, onTestFinished } from 'vitest'

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-sqlite-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

async function numbers(engine: Engine): Promise<{ epoch: string; all: number[] }> {
  const { head } = (await engine.inspect('a')) ?? expect.fail('The log is gone.')
  const all: number[] = []
  for (let offset = 0; offset < head.offset; ) {
    const { events, position } = await engine.read('a', { ...head, offset }, { eventsMax: 4096 })
    all.push(...events.map(({ data }) => (data as { n: number }).n))
    offset = position.offset
  }
  return { epoch: head.epoch, all }
}

describe('the SQLite engine', () => {
  it('keeps logs, positions and keys over its end', async () => {
    const folder = newFolder()
    const first = sqliteEngine({ folder })
    const { position } = await first.append('a', [{ type: 'n', data: { n: 1 } }], { key: 'k' })
    await first.append('bytes', [{ type: 'b', data: Uint8Array.of(0, 255) }])
    await first.close()
    const second = sqliteEngine({ folder })
    onTestFinished(() => second.close())
    expect(await second.append('a', [{ type: 'n', data: { n: 1 } }], { key: 'k' })).toEqual({ position, duplicate: true })
    expect(await numbers(second)).toEqual({ epoch: position.epoch, all: [1] })
    const { head } = (await second.inspect('bytes')) ?? expect.fail()
    expect((await second.read('bytes', { ...head, offset: 0 })).events[0]?.data).toEqual(Uint8Array.of(0, 255))
  })

  it('is waited for by a program that has nothing else to do, and holds it no longer', async () => {
    const script = fileURLToPath(new URL('./support/append-once.ts', import.meta.url))
    const folder = newFolder()
    const child = spawn(process.execPath, ['--conditions=source', '--disable-warning=ExperimentalWarning', script, folder])
    let said = ''
    child.stdout.setEncoding('utf8').on('data', (text) => {
      said += text
    })
    expect(await once(child, 'close')).toEqual([0, null])
    expect(said).toBe('appended\n')
  })

  it('has everything that was acknowledged after its process was killed, again and again', async () => {
    const folder = newFolder()
    const script = fileURLToPath(new URL('./support/appending.ts', import.meta.url))
    let epoch: string | undefined
    for (let round = 0; round < 6; round++) {
      const child = spawn(process.execPath, ['--conditions=source', '--disable-warning=ExperimentalWarning', script, folder])
      let said = ''
      child.stdout.setEncoding('utf8').on('data', (text) => {
        said += text
      })
      await once(child.stdout, 'data')
      await new Promise((resolve) => setTimeout(resolve, 20 + round * 17))
      child.kill('SIGKILL')
      await once(child, 'close')
      const acknowledged = said
        .split('\n')
        .slice(0, -1)
        .map((line) => Number(line.split(' ')[1]))
      const engine = sqliteEngine({ folder })
      const kept = await numbers(engine)
      await engine.close()
      epoch ??= kept.epoch
      expect(kept.epoch).toBe(epoch)
      expect(kept.all.length).toBeGreaterThanOrEqual(Math.max(...acknowledged))
      // Batches are whole: each number once, three at a time.
      expect([...kept.all].sort((a, b) => a - b)).toEqual([...new Set(kept.all)].sort((a, b) => a - b))
      expect(kept.all.length % 3).toBe(0)
    }
  }, 60_000)

  it('refuses a folder that another server uses, and says which', async () => {
    const folder = newFolder()
    const [first, second] = [sqliteEngine({ folder }), sqliteEngine({ folder })]
    onTestFinished(async () => void (await Promise.all([first.close(), second.close()])))
    await first.append('a', [])
    await expect(second.append('a', [])).rejects.toMatchObject({
      code: 'engine_failed',
      message: expect.stringContaining(folder),
    })
    await first.close()
    expect(await second.inspect('a')).toBeDefined()
  })

  it('refuses a file that is no database, leaves it as it is, and says what to do', async () => {
    const folder = newFolder()
    writeFileSync(join(folder, 'millrace.db'), 'not a database, but somebody’s file '.repeat(100))
    const engine = sqliteEngine({ folder })
    onTestFinished(() => engine.close())
    await expect(engine.append('a', [])).rejects.toMatchObject({ message: expect.stringMatching(/damaged.*Move it away/) })
  })

  it('reads back from the file what is no longer held in memory', async () => {
    const engine = sqliteEngine({ folder: newFolder() })
    onTestFinished(() => engine.close())
    for (let n = 0; n < 30; n++)
      await engine.append(
        'a',
        Array.from({ length: 100 }, (_, index) => ({ type: 'n', data: { n: n * 100 + index + 1 } })),
      )
    expect((await numbers(engine)).all).toEqual(Array.from({ length: 3000 }, (_, index) => index + 1))
  })
})
