import { z } from 'zod'
import type { Setting } from '../setting.ts'
import { either, isObject, list, structure, text } from '../setting-types.ts'

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
    type: either(list('names, or parts before the colon', '<provider>'), 'a list of names, or who may use which', isObject),
    env: 'MILLRACE_MODELS_BY_NAME',
    flag: 'models-by-name',
    default: ['*'],
    help: 'models that clients may name: provider, name, or beginning and `*`; also with who may',
  },
] as const satisfies readonly Setting[]
