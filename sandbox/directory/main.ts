/** The sandbox's directory of third parties: a process of its own, as a real directory is somebody else's. */
import { systemClock } from '@bankside/service-kit/clock'
import { httpsOrigin, logLevel, port, readConfig } from '@bankside/service-kit/config'
import { createLog } from '@bankside/service-kit/log'
import { runUntilStopped } from '@bankside/service-kit/process-lifecycle'
import { createTlsServer, drain, listen } from '@bankside/service-kit/tls-server'
import { z } from 'zod'
import { answerDirectory } from './answer.ts'
import { directoryFiles } from './files.ts'

const drainMs = 2_000

const settings = readConfig(
  z.object({
    DIRECTORY: httpsOrigin,
    DIRECTORY_PORT: port,
    DIRECTORY_FOLDER: z.string(),
    LISTEN_ADDRESS: z.string(),
    TLS_EC_KEY: z.string(),
    TLS_EC_CERT: z.string(),
    TLS_RSA_KEY: z.string(),
    TLS_RSA_CERT: z.string(),
    AUTHORITY_CERT: z.string(),
    AUTHORITY_KEY: z.string(),
    LOG_LEVEL: logLevel,
  }),
)
const log = createLog({ level: settings.LOG_LEVEL, name: 'directory' })
const directory = {
  files: directoryFiles(settings.DIRECTORY_FOLDER),
  origin: settings.DIRECTORY,
  authority: { cert: settings.AUTHORITY_CERT, key: settings.AUTHORITY_KEY },
  clock: systemClock,
}
const server = createTlsServer(
  {
    certificates: [
      { key: settings.TLS_EC_KEY, cert: settings.TLS_EC_CERT },
      { key: settings.TLS_RSA_KEY, cert: settings.TLS_RSA_CERT },
    ],
    requestClientCertificate: false,
  },
  (request, response) => {
    answerDirectory(directory, request, response).catch((err: unknown) => {
      log.error({ err }, 'fault')
      response.writeHead(500).end()
    })
  },
)
await listen(server, { port: settings.DIRECTORY_PORT, address: settings.LISTEN_ADDRESS })
runUntilStopped({ log, stop: () => drain(server, { limitMs: drainMs }) })
