export { chromiumOptions, launchChromium } from './chromium.ts'
export { type EngineSuite, engineConformance } from './engine/suite.ts'
export type { EngineFactory, EngineLimits } from './engine/support.ts'
export { type FaultProxy, startFaultProxy } from './fault-proxy.ts'
