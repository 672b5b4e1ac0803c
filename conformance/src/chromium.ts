import { type Browser, chromium, type LaunchOptions } from 'playwright-core'
import { onTestFinished } from 'vitest'

/** Debian's Chromium. It has no sandbox as root; the other flags stop its background requests. */
export const chromiumOptions: LaunchOptions = {
  executablePath: process.env.CHROMIUM_PATH ?? '/usr/bin/chromium',
  args: [
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
  ],
}

/** A browser that closes with the test. */
export async function launchChromium(): Promise<Browser> {
  const browser = await chromium.launch(chromiumOptions)
  onTestFinished(() => browser.close())
  return browser
}
