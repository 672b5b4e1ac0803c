import { describe, expect, it } from 'vitest'
import { MillraceError } from '../errors.ts'
import { createReader, judge } from './reader.ts'

const at = (offset: number) => `k3f9a2xq-${offset}`

function open(from = at(0)) {
  const calls: string[] = []
  const call = (name: string) => () => void calls.push(name)
  const reader = createReader({
    from,
    onHanded: (position) => calls.push(position),
    onFull: call('full'),
    onLow: call('low'),
    onEnd: call('end'),
  })
  return { reader, calls }
}

describe('an event is', () => {
  it('taken when it comes right after the last one', () => {
    expect(judge(at(6), at(5), at(5))).toBe('take')
    expect(judge(at(8), at(5), at(5))).toBe('take')
    expect(judge(at(8), undefined, undefined)).toBe('take')
  })

  it('dropped when it was delivered before', () => {
    expect(judge(at(5), at(4), at(5))).toBe('drop')
    expect(judge(at(3), at(1), at(5))).toBe('drop')
  })

  it('stale when it stands for several of which some were delivered: it would say them twice', () => {
    expect(judge(at(8), at(5), at(7))).toBe('stale')
    expect(judge(at(8), undefined, at(7))).toBe('stale')
  })

  it('foreign when it is of another incarnation of the log', () => {
    expect(judge('another00-6', at(5), at(5))).toBe('foreign')
  })

  it('bad when it has no position', () => {
    expect(judge('', at(5), at(5))).toBe('bad')
    expect(judge('6', at(5), at(5))).toBe('bad')
  })
})

describe('a reader', () => {
  it('moves the position of its owner only when an event is handed out', async () => {
    const { reader, calls } = open()
    reader.take(at(0), 'message', at(1), {})
    reader.take(at(1), 'message', at(2), {})
    expect([reader.reached, calls]).toEqual([at(2), []])
    expect(await reader.next()).toMatchObject({ value: { id: at(1) } })
    expect(calls).toEqual([at(1)])
  })

  it('delivers a gap, and goes on behind it', async () => {
    const { reader } = open(at(2))
    expect(reader.take(at(2), 'gap', '', { from: at(2), to: at(9) })).toBe('take')
    expect(reader.take(at(9), 'message', at(10), {})).toBe('take')
    expect(await reader.next()).toMatchObject({ value: { type: 'gap', id: at(9) } })
  })

  it('asks the connection to wait when it is full, and to go on when it is nearly empty', async () => {
    const { reader, calls } = open()
    for (let offset = 1; offset <= 1000; offset++) reader.take(at(offset - 1), 'message', at(offset), {})
    expect(calls).toEqual(['full'])
    for (let taken = 0; taken < 900; taken++) await reader.next()
    expect(calls.filter((call) => call === 'low')).toHaveLength(1)
  })

  it('hands out what it has before it tells of its end, which it tells once', async () => {
    const { reader, calls } = open()
    reader.take(at(0), 'message', at(1), {})
    reader.end(new MillraceError('position_foreign'))
    reader.end(new MillraceError('closed'))
    expect(await reader.next()).toMatchObject({ done: false })
    await expect(reader.next()).rejects.toMatchObject({ code: 'position_foreign' })
    expect(await reader.next()).toMatchObject({ done: true })
    expect(calls.filter((call) => call === 'end')).toHaveLength(1)
  })

  // What happened: of a loop that had been left, up to a thousand events were still handed out and moved the position.
  it.each([undefined, new MillraceError('position_foreign')])(
    'hands out nothing more once it was left, after %s',
    async (error) => {
      const { reader, calls } = open()
      reader.take(at(0), 'message', at(1), {})
      reader.take(at(1), 'message', at(2), {})
      await reader.next()
      if (error !== undefined) reader.end(error)
      reader.end()
      expect(await reader.next()).toMatchObject({ done: true })
      expect(calls).toEqual([at(1), 'end'])
    },
  )

  it('answers every call of next, in order', async () => {
    const { reader } = open()
    const calls = [reader.next(), reader.next(), reader.next()]
    reader.take(at(0), 'message', at(1), {})
    reader.take(at(1), 'message', at(2), {})
    reader.end()
    const [one, two, three] = await Promise.all(calls)
    expect([one?.value?.id, two?.value?.id, three?.done]).toEqual([at(1), at(2), true])
  })

  it('is moved by an empty page, but not past buffered events', () => {
    const { reader, calls } = open()
    reader.skipTo(at(0), at(3))
    reader.take(at(3), 'message', at(4), {})
    reader.skipTo(at(4), at(6))
    expect([reader.reached, calls]).toEqual([at(6), [at(3)]])
  })
})
