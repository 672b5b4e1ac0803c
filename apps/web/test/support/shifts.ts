/** What moves on a page without the reader's doing, beside the end of the answer that is being written. */
import type { Page } from 'playwright-core'

interface Watched {
  readonly shifts: string[]
}

/** Watches from now on; the function it resolves with gives what has moved. */
export async function watchShifts(page: Page): Promise<() => Promise<string[]>> {
  await page.evaluate(() => {
    const shifts: string[] = []
    Object.assign(window, { shifts })
    // The last answer grows: what is below its end moves, so may its last blocks, and the columns of a table that has got a row.
    const isAtEnd = (element: Element) => {
      const answer = [...document.querySelectorAll('[data-testid="answer"]')].at(-1)
      const blocks = answer?.querySelector('[data-testid="answer-text"] > div')?.children ?? []
      const last = [...blocks].slice(-4)
      return element.closest('footer, th, td') !== null || last.some((block) => block.contains(element))
    }
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) {
        const { hadRecentInput, sources } = entry as unknown as { hadRecentInput: boolean; sources: { node: Node | null }[] }
        if (hadRecentInput) continue
        for (const { node } of sources) {
          const element = node instanceof Element ? node : node?.parentElement
          if (element && !isAtEnd(element)) shifts.push(`${element.tagName} ${element.textContent?.slice(0, 40)}`)
        }
      }
    }).observe({ type: 'layout-shift' })
  })
  return () => page.evaluate(() => (window as unknown as Watched).shifts)
}
