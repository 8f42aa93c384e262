import { databaseUrl, logLevel, port, readConfig } from '@bankside/service-kit/config'
import { z } from '@bankside/service-kit/postgres'

export const workerSettings = z.object({
  DATABASE_URL: databaseUrl,
  OPERATIONS_PORT: port,
  OPERATIONS_ADDRESS: z.string().default('127.0.0.1'),
  LOG_LEVEL: logLevel,
})
export type WorkerConfig = z.infer<typeof workerSettings>

export const readWorkerConfig = (): WorkerConfig => readConfig(workerSettings)
