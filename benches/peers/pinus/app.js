// A Pinus connector without its master: one process, one port, an echo. `node app.js PORT`, beside its modules.
const [node, main, port] = process.argv;
process.argv = [node, main, 'env=production', 'id=connector-1', 'serverType=connector', 'frontend=true'];
process.argv.push('host=127.0.0.1', 'clientHost=127.0.0.1', `clientPort=${port}`);
process.env.POMELO_LOGGER = 'off';

require('reflect-metadata');
const { pinus } = require('pinus');

// What a server tells its master of itself; there is none here.
class NoMonitor {
    name = '__monitor__';
    start(done) { process.nextTick(done); }
    stop(done) { process.nextTick(done); }
}
Object.defineProperty(pinus.components, 'monitor', { value: NoMonitor, configurable: true });

const app = pinus.createApp({ base: __dirname });
app.set('name', 'bench');
app.configure('production', 'connector', () => {
    app.set('connectorConfig', { connector: pinus.connectors.hybridconnector, heartbeat: 30 });
});
app.start((error) => {
    if (error) {
        console.error(error);
        process.exit(1);
    }
    console.log('ready');
});
