import java.io.File;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.UUID;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.io.DecoderFactory;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;

/**
 * A client of a Penstock workflow, written from its AsyncAPI document: it publishes inputs, answers an external node, and taps that
 * node's journal until every run has a terminal record there. Each record of the journal is a line of JSON on stdout.
 *
 * Arguments: the document, HOST:PORT of a broker, the external node, the address of a schema registry or "-", then inputs as RUN_ID=JSON.
 */
public final class Client {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final Set<String> TERMINAL = Set.of("Succeeded", "Failed", "Skipped", "Cancelled");

    private final JsonNode document;
    private final String bootstrap;
    private final String registry;
    private final Map<Integer, Schema> schemas = new HashMap<>();

    private Client(JsonNode document, String bootstrap, String registry) {
        this.document = document;
        this.bootstrap = bootstrap;
        this.registry = registry;
        // Without a registry the message whose x-schema-id is the record's id has the schema.
        for (JsonNode message : document.get("components").get("messages")) {
            if (message.has("x-schema-id")) {
                String text = message.get("payload").get("schema").toString();
                schemas.put(message.get("x-schema-id").asInt(), new Schema.Parser().parse(text));
            }
        }
    }

    public static void main(String[] args) throws Exception {
        Client client = new Client(JSON.readTree(new File(args[0])), args[1], args[3]);
        Map<String, String> inputs = new HashMap<>();
        for (String input : List.of(args).subList(4, args.length)) {
            inputs.put(input.substring(0, input.indexOf('=')), input.substring(input.indexOf('=') + 1));
        }
        client.work(args[2], inputs);
    }

    private void work(String node, Map<String, String> inputs) throws Exception {
        String requests = address("requests." + node);
        String journal = address("journal." + node);
        Set<String> open = new HashSet<>(inputs.keySet());
        Set<String> answered = new HashSet<>();
        long last = System.nanoTime() + Duration.ofSeconds(45).toNanos();
        try (KafkaConsumer<byte[], byte[]> consumer = consumer(); KafkaProducer<byte[], byte[]> producer = producer()) {
            consumer.subscribe(List.of(requests, journal));
            publish(producer, inputs);
            while (!open.isEmpty() && System.nanoTime() < last) {
                for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(200))) {
                    String run = new String(record.key(), StandardCharsets.UTF_8);
                    if (!inputs.containsKey(run)) {
                        continue;
                    }
                    if (record.topic().equals(requests)) {
                        answer(producer, record, answered);
                    } else {
                        tap(record, run, open);
                    }
                }
            }
        }
        System.exit(open.isEmpty() ? 0 : 1);
    }

    private void publish(KafkaProducer<byte[], byte[]> producer, Map<String, String> inputs) throws Exception {
        for (Map.Entry<String, String> input : inputs.entrySet()) {
            producer.send(new ProducerRecord<>(address("input"), bytes(input.getKey()), bytes(input.getValue()))).get();
        }
    }

    /** Answer a request with the length of its text; the same request again has the same ce_id, and was answered. */
    private void answer(KafkaProducer<byte[], byte[]> producer, ConsumerRecord<byte[], byte[]> record, Set<String> answered)
            throws Exception {
        String id = new String(record.headers().lastHeader("ce_id").value(), StandardCharsets.UTF_8);
        if (!answered.add(id)) {
            return;
        }
        JsonNode request = JSON.readTree(record.value());
        ObjectNode result = JSON.createObjectNode();
        result.put("type", "result");
        for (String name : List.of("run_id", "node", "epoch", "attempt")) {
            result.set(name, request.get(name));
        }
        result.putObject("output").put("score", request.get("inputs").get("input").get("text").asText().length());
        producer.send(new ProducerRecord<>(address("control"), record.key(), JSON.writeValueAsBytes(result))).get();
    }

    private void tap(ConsumerRecord<byte[], byte[]> record, String run, Set<String> open) throws Exception {
        GenericRecord found = decode(record.value());
        ObjectNode line = JSON.createObjectNode().put("type", found.getSchema().getName());
        line.set("record", JSON.readTree(found.toString()));
        System.out.println(line);
        if (TERMINAL.contains(found.getSchema().getName())) {
            open.remove(run);
        }
    }

    /** Confluent's format: a zero byte, the schema's id, the body. */
    private GenericRecord decode(byte[] value) throws Exception {
        ByteBuffer bytes = ByteBuffer.wrap(value);
        if (bytes.get() != 0) {
            throw new IllegalArgumentException("not in Confluent's format");
        }
        Schema schema = schema(bytes.getInt());
        GenericDatumReader<GenericRecord> reader = new GenericDatumReader<>(schema);
        return reader.read(null, DecoderFactory.get().binaryDecoder(value, 5, value.length - 5, null));
    }

    private Schema schema(int id) throws Exception {
        if (!schemas.containsKey(id)) {
            HttpRequest request = HttpRequest.newBuilder(URI.create(registry + "/schemas/ids/" + id)).build();
            String answer = HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString()).body();
            schemas.put(id, new Schema.Parser().parse(JSON.readTree(answer).get("schema").asText()));
        }
        return schemas.get(id);
    }

    private String address(String channel) {
        return document.get("channels").get(channel).get("address").asText();
    }

    private KafkaConsumer<byte[], byte[]> consumer() {
        Properties settings = common("org.apache.kafka.common.serialization.ByteArrayDeserializer", "deserializer");
        settings.put("group.id", "interop-" + UUID.randomUUID());
        settings.put("auto.offset.reset", "earliest");
        return new KafkaConsumer<>(settings);
    }

    private KafkaProducer<byte[], byte[]> producer() {
        return new KafkaProducer<>(common("org.apache.kafka.common.serialization.ByteArraySerializer", "serializer"));
    }

    private Properties common(String type, String kind) {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", bootstrap);
        for (String part : List.of("key", "value")) {
            settings.put(part + "." + kind, type);
        }
        return settings;
    }

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }
}
