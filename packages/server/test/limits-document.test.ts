/** The guides on limits name every limit with the default that the code has. */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { principalLimits } from '../src/access/principal-limits.ts'
import { defaultLimits } from '../src/limits/options.ts'

const minute = 60_000
const day = 1440 * minute

function defaultsOf(name: string, value: number, isChinese: boolean): readonly string[] {
  if (value === Number.POSITIVE_INFINITY) return [isChinese ? '无' : 'none']
  if (/bytes/i.test(name)) return [`${value / 2 ** 20} MiB`]
  if (!/Ms(Max)?$/.test(name)) return [value.toLocaleString('en')]
  const [s, min, days] = isChinese ? ['秒', '分钟', '天'] : ['s', 'minutes', 'days']
  if (value >= 2 * day) return [`${value / day} ${days}`]
  return value >= 2 * minute ? [`${value / minute} ${min}`] : [`${value / 1000} ${s}`]
}

describe.each(['limits.md', 'limits.zh-CN.md'])('%s', (file) => {
  const guide = readFileSync(new URL(`../../../docs/guides/${file}`, import.meta.url), 'utf8')
  const rows = guide.split('\n').filter((line) => line.startsWith('|'))

  it.each(Object.entries(defaultLimits))('has %s', (name, value) => {
    const row = rows.find((line) => line.includes(`\`${name}\``))
    expect(row, `a row for ${name}`).toBeDefined()
    for (const text of defaultsOf(name, value, file.includes('zh'))) expect(row).toContain(text)
  })

  it('says which limits a principal can have of its own', () => {
    // The first two chapters; the second table of the first says who is limited.
    const [, principals = '', connections = ''] = guide.split(/^## .*$/m)
    const named = [...`${principals}${connections}`.matchAll(/^\| `(\w+)` \|/gm)].map(([, name]) => name as string)
    expect(named.filter((name) => name !== 'anonymous').toSorted()).toEqual([...principalLimits].toSorted())
  })
})
