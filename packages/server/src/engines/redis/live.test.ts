/** The answers of two plain commands make a page only in the common case; the script handles every other. */
import { expect, it } from 'vitest'
import { livePage } from './live.ts'

const after = { epoch: 'e', offset: 4 }
const bounds = { eventsMax: 512, bytesMax: 262_144 }
const entry = (last: number, count: number) => [
  `${last}-0`,
  ['n', String(count), 't', '1', 'd', JSON.stringify(Array.from({ length: count }, () => ['message', {}]))],
]
const meta = ({ epoch = 'e', head = '9', start = '2', server = 's', shown = null as string | null } = {}) => [
  epoch,
  head,
  start,
  server,
  shown,
]
const offsets = (answers: readonly unknown[]) => livePage(after, answers, bounds)?.events.map(({ offset }) => offset)

it('returns the events after the position, also from the middle of a batch, and the head of the log', () => {
  const page = livePage(after, [[entry(6, 3), entry(7, 1)], meta()], bounds)
  expect(page?.events.map(({ offset }) => offset)).toEqual([5, 6, 7])
  expect(page).toMatchObject({ position: { epoch: 'e', offset: 7 }, head: { epoch: 'e', offset: 9 }, server: 's' })
  expect(page?.gap).toBeUndefined()
})

it.each([
  ['the log has another epoch', [[entry(5, 1)], meta({ epoch: 'f' })]],
  ['there is no log', [[], [null, null, null, null, null]]],
  ['retention has removed events after the position', [[entry(5, 1)], meta({ start: '8' })]],
  ['the events after the position are packed or missing', [[entry(8, 2)], meta()]],
  ['a batch between two others is missing', [[entry(5, 1), entry(9, 2)], meta()]],
  ['there is no entry', [[], meta()]],
  ['an entry is beyond the head', [[entry(5, 1)], meta({ head: '4' })]],
  ['appends wait for replicas', [[entry(5, 1)], meta({ shown: '4' })]],
])('returns no page when %s', (_, answers) => {
  expect(offsets(answers)).toBeUndefined()
})
