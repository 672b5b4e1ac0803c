import { z } from 'zod'
import type { Setting } from '../setting.ts'
import { isObject, list, structure, text } from '../setting-types.ts'

export const modelsSettings = [
  {
    key: 'model',
    type: text('the name of a model', '<name>'),
    env: 'MILLRACE_MODEL',
    flag: 'model',
    default: 'auto',
    help: 'model of a request that names none: `auto`, `builtin:guide`, `sim:count`, any `provider:model` of LangChain',
  },
  {
    key: 'models',
    type: structure('models by name', z.record(z.string(), z.custom(isObject))),
    help: 'models of your own, by name',
  },
  {
    key: 'modelsByName',
    type: list('parts before the colon', '<provider>'),
    env: 'MILLRACE_MODELS_BY_NAME',
    flag: 'models-by-name',
    default: ['*'],
    help: 'which models clients may request by name: the part before the colon, or `*`',
  },
] as const satisfies readonly Setting[]
