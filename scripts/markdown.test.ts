import { describe, expect, it } from 'vitest'
import { anchorsOf, findBrokenLinks, findLongTexts } from './markdown.ts'

const page = '# 主机名\n\n## Stop a server\n\n## `POST /api/runs/:id/stop`\n\n```sh\n# no heading\n```\n\n## Stop a server\n'

it('makes anchors as GitHub does', () => {
  expect([...anchorsOf(page)]).toEqual(['主机名', 'stop-a-server', 'post-apirunsidstop', 'stop-a-server-1'])
})

describe('links', () => {
  const check = (text: string) =>
    findBrokenLinks({
      texts: { 'docs/a.md': text, 'docs/b.md': page },
      exists: (path) => ['docs/a.md', 'docs/b.md', 'src'].includes(path),
    })

  it.each([
    '[x](b.md)',
    '[x](b.md#主机名)',
    '[x](../src)',
    '[x](https://example.org/#y)',
    '`[x](nowhere.md)`',
    '# A b\n[x](#a-b)',
  ])('that lead somewhere are no problem: %j', (text) => expect(check(text)).toEqual([]))

  it.each(['[x](c.md)', '[x](b.md#start)', '[x](../src/c.ts)', '# A b\n[x](#b)'])('that lead nowhere are named: %j', (text) =>
    expect(check(text)).toHaveLength(1),
  )
})

it('names what is long in a guide: a page, or a cell of a table', () => {
  const check = (text: string) => findLongTexts({ texts: { 'docs/guides/a.md': text }, exists: () => true })
  expect(check(`| ${'x '.repeat(15)} |\n\n${'x '.repeat(1100)}`)).toEqual([])
  expect(check(`| ${'x '.repeat(16)} |`)).toEqual([expect.stringContaining('table cell')])
  expect(check('x '.repeat(1201))).toEqual([expect.stringContaining('1201 words')])
})
