export { engineConformance, type EngineFactory, type EngineLimits, type EngineSuite } from './engine/suite.ts'
