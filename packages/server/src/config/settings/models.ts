import { z } from 'zod'
import { defaultFileTypes } from '../../files/default-types.ts'
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
    key: 'instructions',
    type: text('text', '<text>'),
    env: 'MILLRACE_INSTRUCTIONS',
    flag: 'instructions',
    help: 'what every model gets first; clients can neither read nor replace it',
  },
  {
    key: 'models',
    type: structure('models by name', z.record(z.string(), z.custom(isObject))),
    help: 'models of your own, by name',
  },
  {
    key: 'tools',
    type: structure(
      'tools by name, or a list of tools of LangChain',
      z.custom((value) => typeof value === 'object' && value !== null),
    ),
    help: 'tools that models may call, by name',
  },
  {
    key: 'modelsByName',
    type: either(list('names, or parts before the colon', '<provider>'), 'a list of names, or who may use which', isObject),
    env: 'MILLRACE_MODELS_BY_NAME',
    flag: 'models-by-name',
    help: 'models that clients may name, also with who may; default all, with authentication without `sim:`',
  },
  {
    key: 'providerParams',
    type: list('names of fields', '<field>'),
    env: 'MILLRACE_PROVIDER_PARAMS',
    flag: 'provider-params',
    help: 'fields of `params.provider` that clients may set',
  },
  {
    key: 'fileTypes',
    type: list('media types', '<type>'),
    env: 'MILLRACE_FILE_TYPES',
    flag: 'file-types',
    default: defaultFileTypes,
    help: 'media types that may be uploaded, such as `image/png` and `text/*`; empty for none',
  },
] as const satisfies readonly Setting[]
