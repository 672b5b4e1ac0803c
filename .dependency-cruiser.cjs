/** The architecture, as rules. Read ARCHITECTURE.md for the reasons. */
const server = '^packages/server/src'
const test = '\\.test\\.ts$'
const bindings = '^packages/client/src/(react|vue|svelte|solid|ai-sdk|assistant-ui)/'

/**
 * What a folder of the server may import, besides itself and the log. Folders meet at the log and at contracts;
 * `server.ts` and `cli/` connect them.
 */
const knows = {
  access: ['outgoing/'],
  channels: [],
  config: ['access/', 'dialects/names\\.ts$', 'options\\.ts$', 'limits/options\\.ts$', 'files/default-types\\.ts$'],
  cluster: ['runs/', 'transports/heartbeat\\.ts$'],
  delivery: [],
  // The routes of a dialect are handled by the gateway, as its own are.
  dialects: [
    'access/(actions|authorize|caller|hiding|ownership)\\.ts$',
    'files/media-types\\.ts$',
    'gateway/(face|route|check|asking|decisions|reading|run-streams|run-access)\\.ts$',
    'outgoing/(client-webhooks|request)\\.ts$',
    'runs/(runs?|tokens)\\.ts$',
    'sessions/',
    'tools/json\\.ts$',
  ],
  engines: [],
  files: [],
  gateway: [
    'access/',
    'channels/',
    'delivery/wire\\.ts$',
    'dialects/(dialect|replay|run-dialect)\\.ts$',
    'files/',
    'limits/',
    'models/model\\.ts$',
    'operations/',
    'outgoing/client-webhooks\\.ts$',
    'producers/',
    'runs/',
    'sessions/',
    'transports/(connections?|event-stream|heartbeat|takeover|transport)\\.ts$',
  ],
  limits: [
    'operations/observer\\.ts$',
    'access/(caller|principal-limits|address-key)\\.ts$',
    'runs/(admission|charge|retry-until)\\.ts$',
    'access/actions\\.ts$',
  ],
  models: ['tools/(json|tool)\\.ts$'],
  operations: ['outgoing/'],
  outgoing: [],
  producers: ['runs/', 'tools/json\\.ts$'],
  runs: ['operations/(observer|traces|private-text)\\.ts$', 'models/model\\.ts$', 'operations/redact\\.ts$', 'tools/'],
  sessions: ['access/', 'files/', 'models/(model|continuation)\\.ts$', 'dialects/', 'runs/', 'tools/'],
  tools: [],
  transports: [
    'operations/observer\\.ts$',
    'access/(caller|address-key)\\.ts$',
    'delivery/',
    'dialects/(dialect|merge|replay|run-dialect)\\.ts$',
    'limits/bucket\\.ts$',
  ],
}

module.exports = {
  forbidden: [
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'protocol-is-pure',
      comment: 'The wire words are shared by browser and server: no packages, no node:, no siblings.',
      severity: 'error',
      from: { path: '^packages/protocol/src', pathNot: test },
      to: { pathNot: '^packages/protocol/src' },
    },
    {
      name: 'client-needs-only-protocol',
      comment: 'It runs in browsers, workers and Node: no packages, no node:. Only its bindings may know a framework.',
      severity: 'error',
      from: { path: '^packages/client/src', pathNot: [test, bindings] },
      to: { pathNot: ['^packages/client/src', '^packages/protocol/src'] },
    },
    {
      name: 'a-binding-needs-only-the-client-and-its-library',
      severity: 'error',
      from: { path: bindings, pathNot: test },
      to: {
        pathNot: [
          '^packages/client/src',
          '^packages/protocol/src',
          '^node_modules/(@types/)?(react|vue|svelte|solid-js|ai|@assistant-ui/react)/',
        ],
      },
    },
    {
      name: 'nothing-knows-the-bindings',
      comment: 'An application without the framework would load it.',
      severity: 'error',
      from: { path: '^packages/client/src/', pathNot: bindings },
      to: { path: bindings },
    },
    {
      name: 'the-client-does-not-know-the-chat',
      comment: 'The fold and the stores are an entry of their own: an application that only reads events must not load them.',
      severity: 'error',
      from: { path: '^packages/client/src/', pathNot: ['^packages/client/src/chat/', bindings] },
      to: { path: '^packages/client/src/chat/' },
    },
    {
      name: 'the-client-does-not-know-uploads',
      comment: 'An application without files must not load them.',
      severity: 'error',
      from: { path: '^packages/client/src/', pathNot: ['^packages/client/src/files/', bindings] },
      to: { path: '^packages/client/src/files/' },
    },
    {
      name: 'log-knows-only-protocol',
      comment: 'The core never learns who stores it, who reads it, or who writes into it.',
      severity: 'error',
      from: { path: `${server}/log/`, pathNot: test },
      to: { pathNot: [`${server}/log/`, '^packages/protocol/src'] },
    },
    ...Object.entries(knows).map(([layer, others]) => ({
      name: `${layer}-know-their-neighbours-only`,
      comment: 'Layers meet at the log and at contracts; server.ts introduces them to each other.',
      severity: 'error',
      from: { path: `${server}/${layer}/`, pathNot: test },
      to: {
        path: `${server}/`,
        pathNot: [`${server}/${layer}/`, `${server}/log/`, ...others.map((other) => `${server}/${other}`)],
      },
    })),
    {
      name: 'the-gateway-knows-contracts-only',
      comment:
        'It meets transports at transports/transport.ts and dialects at dialects/dialect.ts, so that a new one changes only server.ts.',
      severity: 'error',
      from: { path: `${server}/gateway/`, pathNot: test },
      to: { path: `${server}/(transports/(sse|poll|websocket|socket)|dialects/(native|merge))` },
    },
    {
      name: 'engines-are-strangers-to-each-other',
      comment: 'An engine is a folder; what several need is in engines/shared.',
      severity: 'error',
      from: { path: `${server}/engines/([^/]+)/`, pathNot: test },
      to: { path: `${server}/engines/`, pathNot: [`${server}/engines/$1/`, `${server}/engines/shared/`] },
    },
    {
      name: 'dialects-are-strangers-to-each-other',
      comment: 'A dialect is a folder; what several need is in dialects/shared.',
      severity: 'error',
      from: { path: `${server}/dialects/([^/]+)/`, pathNot: test },
      to: { path: `${server}/dialects/[^/]+/`, pathNot: [`${server}/dialects/$1/`, `${server}/dialects/shared/`] },
    },
    {
      name: 'client-and-server-meet-only-in-protocol',
      severity: 'error',
      from: { path: '^packages/(client|server)/src' },
      to: { path: '^packages/(client|server)/src', pathNot: '^packages/$1/src' },
    },
    {
      name: 'outsiders-use-the-front-door',
      comment: 'Apps, suites, benches and examples import what users import: only an index.ts is public, and json.ts.',
      severity: 'error',
      from: { path: '^(apps|conformance|bench|examples)/' },
      to: {
        path: '^packages/[^/]+/src/',
        pathNot:
          '^packages/[^/]+/src/((chat|files|tabs|react|vue|svelte|solid|ai-sdk|assistant-ui|engines/(redis|nats))/)?index\\.ts$|^packages/client/src/json\\.ts$',
      },
    },
    {
      name: 'nothing-shipped-imports-the-workshop',
      comment: 'Tests may use the conformance suites; what is published may not.',
      severity: 'error',
      from: { path: '^packages/[^/]+/src/', pathNot: test },
      to: { path: '^(apps|conformance|bench|examples|scripts)/' },
    },
    {
      name: 'the-page-uses-the-client-as-users-do',
      comment: 'What it lacks belongs into the client: the page has no fold, no outbox and no requests of its own.',
      severity: 'error',
      from: { path: '^apps/web/src/', pathNot: test },
      to: { path: '^packages/', pathNot: '^packages/client/src/(((chat|files|react|tabs)/)?index|json)\\.ts$' },
    },
    {
      name: 'declared-dependencies-only',
      comment: 'What resolves only because another package brought it will be gone one day. Siblings: see knip.',
      severity: 'error',
      from: {},
      to: { dependencyTypes: ['npm-no-pkg', 'npm-unknown', 'unknown', 'undetermined'], pathNot: '^packages/' },
    },
    {
      name: 'shipped-code-has-no-development-dependencies',
      comment: 'They are not installed with the package; an import of a type alone is gone by then.',
      severity: 'error',
      from: { path: '^packages/[^/]+/src/', pathNot: test },
      to: { dependencyTypes: ['npm-dev'], dependencyTypesNot: ['type-only', 'npm-peer', 'npm-optional'] },
    },
    { name: 'everything-resolves', severity: 'error', from: {}, to: { couldNotResolve: true } },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '/dist/' },
    // The tools of the tests are declared once, at the root.
    combinedDependencies: true,
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.base.json' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['millrace-source', 'import', 'types', 'default'] },
  },
}
