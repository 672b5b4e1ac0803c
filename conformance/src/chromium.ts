import { type Browser, chromium } from 'playwright-core'
import { onTestFinished } from 'vitest'

/** As root Chromium has no sandbox; the rest keeps it from calling home. */
const args = [
  '--no-sandbox',
  '--disable-gpu',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

/** Debian's Chromium, which ends with the test. */
export async function launchChromium(): Promise<Browser> {
  const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args })
  onTestFinished(() => browser.close())
  return browser
}
