export { type EngineFactory, type EngineLimits, type EngineSuite, engineConformance } from './engine/suite.ts'
export { type FaultProxy, startFaultProxy } from './fault-proxy.ts'
