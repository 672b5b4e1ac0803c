/** A finger on the page: what Chromium makes of its touches is its own. */
import type { Page } from 'playwright-core'

export interface Point {
  readonly x: number
  readonly y: number
}

export async function swipe(page: Page, from: Point, to: Point): Promise<void> {
  const devtools = await page.context().newCDPSession(page)
  const steps = 10
  await devtools.send('Input.dispatchTouchEvent', { type: 'touchStart', touchPoints: [from] })
  for (let step = 1; step <= steps; step++) {
    const at = (start: number, end: number) => start + ((end - start) * step) / steps
    const touchPoints = [{ x: at(from.x, to.x), y: at(from.y, to.y) }]
    await devtools.send('Input.dispatchTouchEvent', { type: 'touchMove', touchPoints })
  }
  await devtools.send('Input.dispatchTouchEvent', { type: 'touchEnd', touchPoints: [] })
}
